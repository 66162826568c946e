"""docs/connect-a-service.md says what the schema accepts, no more and no less."""

import re
import tomllib
from pathlib import Path

from unternehmenskonto.catalogue.claims import CLAIMS
from unternehmenskonto.operators.reading import read_service
from unternehmenskonto.operators.schema import ClaimTable, ClientTable, ServiceTable
from unternehmenskonto.settings import ROOT

TEXT = (ROOT / "docs" / "connect-a-service.md").read_text(encoding="utf-8")
EXAMPLE = TEXT.split("```toml\n")[1].split("```")[0]


def test_every_key_and_every_claim_is_explained() -> None:
    tables = {*ServiceTable.model_fields, *ClientTable.model_fields, *ClaimTable.model_fields}
    named = set(re.findall(r"`([a-z_0-9]+)`", TEXT)) | set(re.findall(r"\[\[?(\w+)\]", TEXT))
    assert (tables | set(CLAIMS)) - named - {"name", "purpose"} == set()


def test_example_is_accepted(tmp_path: Path) -> None:
    file = tmp_path / "abfallanzeige.toml"
    file.write_text(EXAMPLE, encoding="utf-8")
    service = read_service(file, is_local=False)
    assert service.columns["name"] == tomllib.loads(EXAMPLE)["name"]
