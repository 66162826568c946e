// Warns before the session ends and says when it has ended; what was typed stays on the page.
// Other tabs of the same browser share the session: each tells the others when it was seen.
(() => {
  "use strict";
  const TICK = 5000;
  const dialog = document.getElementById("sitzungsende");
  if (!dialog || !dialog.showModal) return;

  const milliseconds = (name) => Number(dialog.dataset[name]) * 1000;
  const form = dialog.querySelector('form[method="post"]');
  const failed = dialog.querySelector("[data-failed]");
  const tabs = "BroadcastChannel" in window ? new BroadcastChannel("sitzung") : null;
  let restEnds = Date.now() + milliseconds("rest");
  let idleEnds = 0;
  let shown = "";

  function stateAt(moment) {
    if (moment >= Math.min(idleEnds, restEnds)) return "beendet";
    if (restEnds <= idleEnds) return moment >= restEnds - milliseconds("warning") ? "letzte" : "";
    return moment >= idleEnds - milliseconds("warning") ? "pause" : "";
  }

  function show(state) {
    if (state === shown) return; // closed by the person: not opened again for the same reason
    shown = state;
    if (!state) {
      dialog.close();
      return;
    }
    const end = new Date(Math.min(idleEnds, restEnds));
    const time = end.toLocaleTimeString(document.documentElement.lang, { hour: "2-digit", minute: "2-digit" });
    dialog.querySelectorAll("[data-time]").forEach((place) => (place.textContent = time));
    dialog.querySelectorAll("[data-state]").forEach((part) => (part.hidden = part.dataset.state !== state));
    dialog.setAttribute("aria-labelledby", `sitzungsende-${state}`);
    failed.hidden = true;
    dialog.close(); // opened anew, so that the focus is on the new button and the new title is read out
    dialog.showModal();
  }

  function tick() {
    show(stateAt(Date.now()));
  }

  function seen() {
    idleEnds = Date.now() + milliseconds("idle");
    tick();
  }

  function tellOtherTabs() {
    if (tabs) tabs.postMessage({ restEnds });
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    let status = 0;
    try {
      const answer = await fetch(form.action, { method: "POST", body: new FormData(form), redirect: "manual" });
      status = answer.status;
    } catch {
      status = 0; // no network: the sentence below says so
    }
    if (status === 204) {
      seen();
      tellOtherTabs();
    } else if (status === 401) {
      idleEnds = 0;
      tick();
    } else {
      failed.hidden = false;
    }
  });
  if (tabs) {
    tabs.addEventListener("message", (event) => {
      restEnds = Number(event.data.restEnds) || restEnds;
      seen();
    });
  }
  document.addEventListener("visibilitychange", tick); // timers sleep with the machine
  setInterval(tick, TICK);
  seen();
  tellOtherTabs();
})();
