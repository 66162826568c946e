"""What the demonstration prints when all of it answers."""

from unternehmenskonto.demo.addresses import Addresses
from unternehmenskonto.demo.folder import DemoFolder
from unternehmenskonto.demo.identity_provider import certificates


def show(needed: Addresses, folder: DemoFolder, *, seconds: float) -> None:
    """Print addresses, test people and what to try first."""
    lines = ["", f"Unternehmenskonto is running ({seconds:.1f} s). Open {needed.konto.url}", ""]
    pages = (needed.konto, needed.identity_provider, needed.online_service, needed.authority, needed.mail)
    lines += [f"  {address.url:<22}  {address.name}" for address in pages]
    lines += ["", 'Test people; choose one after "Anmelden" and "Demo-Zertifikat":', ""]
    for certificate in certificates.load().values():
        person = f"{certificate.person['given_name']} {certificate.person['family_name']}"
        lines.append(f"  {person:<16}  {certificate.company['name']:<22}  {certificate.note}")
    lines += [
        "",
        "Try first:",
        "  1. Log in as Erika Beispiel. The mailbox of Musterbau GmbH is still empty.",
        '  2. Open "Dienste", then "Gewerbeanmeldung", and go on to the service: it knows you already.',
        "  3. Submit the form. The authority decides, and its decision lies in the mailbox with its deadline.",
        f"  4. Look at the e-mail that announced it: {needed.mail.url}",
        "",
        f"Data is kept in {folder.path}; Ctrl-C ends everything, make demo-reset starts over.",
        "",
    ]
    print("\n".join(lines), flush=True)
