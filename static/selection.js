// Ticks all boxes of a list at once, says how many are ticked, and opens what can be done with them.
(() => {
  "use strict";
  const form = document.querySelector("form[data-selection]");
  if (!form) return;
  const boxes = [...form.querySelectorAll('input[name="nachricht"]')];
  const all = form.querySelector("[data-all]");
  const acts = form.querySelector("details");
  const count = form.querySelector("[data-count]");
  const words = count.textContent;

  function show() {
    const ticked = boxes.filter((box) => box.checked).length;
    all.checked = ticked === boxes.length;
    all.indeterminate = ticked > 0 && ticked < boxes.length;
    count.textContent = ticked ? `${words}: ${ticked}` : words;
    acts.open = ticked > 0;
  }

  form.querySelectorAll("[data-without-script]").forEach((link) => (link.hidden = true));
  form.querySelectorAll("[data-with-script]").forEach((label) => (label.hidden = false));
  all.addEventListener("change", () => {
    boxes.forEach((box) => (box.checked = all.checked));
    show();
  });
  boxes.forEach((box) => box.addEventListener("change", show));
  window.addEventListener("pageshow", show); // the browser remembers ticks when one comes back
})();
