"""The catalogue of the open data: DCAT-AP as JSON-LD, with no context to fetch."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from jauge_collector.publication.content import Public
from jauge_collector.publication.open_data import LICENCE, Table, json_bytes
from jauge_collector.publication.words import PublicWords

_EU: Final = "http://publications.europa.eu/resource/authority"
_IANA: Final = "https://www.iana.org/assignments/media-types"
_LANGUAGES: Final = {"fr": "FRA", "en": "ENG"}
_CONTEXT: Final = {
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "spdx": "http://spdx.org/rdf/terms#",
    "vcard": "http://www.w3.org/2006/vcard/ns#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}


def catalogue(public: Public, tables: Sequence[Table], package: bytes, words: PublicWords) -> bytes:
    """``catalogue.jsonld``: one data set, a distribution for each table and for the package.

    Addresses are those of the page where the operator's register gives it, else relative.
    """
    code = words.plain.code
    base = public.pages.get("page_url", "").rpartition("/")[0]
    base = f"{base}/" if base else ""

    def text(value: str) -> dict[str, str]:
        return {"@language": code, "@value": value}

    title = words("dataset_title", title=public.title, quarter=public.quarter)
    files = [(t.path, words.tables[t.name], t.content, "CSV", "text/csv") for t in tables]
    files.append(("datapackage.json", words("package_link"), package, "JSON", "application/json"))
    dataset: dict[str, Any] = {
        "@id": f"{base}#dataset",
        "@type": "dcat:Dataset",
        "dct:title": text(title),
        "dct:description": text(words("dataset_description")),
        "dct:identifier": f"{public.site}-{public.quarter}",
        "dct:issued": _day(public.approved_on.isoformat()),
        "dct:modified": _day(public.approved_on.isoformat()),
        "dct:language": {"@id": f"{_EU}/language/{_LANGUAGES[code]}"},
        "dct:accrualPeriodicity": {"@id": f"{_EU}/frequency/QUARTERLY"},
        "dct:accessRights": {"@id": f"{_EU}/access-right/PUBLIC"},
        "dct:temporal": {
            "@type": "dct:PeriodOfTime",
            "dcat:startDate": _day(public.first.isoformat()),
            "dcat:endDate": _day(public.last.isoformat()),
        },
        "dcat:theme": [
            {"@id": f"{_EU}/data-theme/ENER"},
            {"@id": f"{_EU}/data-theme/ENVI"},
        ],
        "dcat:keyword": [text(word) for word in words("keywords").split(", ")],
        "dcat:landingPage": {"@id": f"{base}{words.pages['index']}"},
        "dct:license": {"@id": LICENCE},
        "dcat:version": str(public.revision),
        "dcat:distribution": [
            {
                "@id": f"{base}{path}",
                "@type": "dcat:Distribution",
                "dct:title": text(name),
                "dcat:accessURL": {"@id": f"{base}{path}"},
                "dcat:downloadURL": {"@id": f"{base}{path}"},
                "dct:format": {"@id": f"{_EU}/file-type/{form}"},
                "dcat:mediaType": {"@id": f"{_IANA}/{media}"},
                "dct:license": {"@id": LICENCE},
                "dcat:byteSize": {"@type": "xsd:nonNegativeInteger", "@value": str(len(content))},
                "dct:issued": _day(public.approved_on.isoformat()),
                "spdx:checksum": {
                    "@type": "spdx:Checksum",
                    "spdx:algorithm": {"@id": "spdx:checksumAlgorithm_sha256"},
                    "spdx:checksumValue": {
                        "@type": "xsd:hexBinary",
                        "@value": hashlib.sha256(content).hexdigest(),
                    },
                },
            }
            for path, name, content, form, media in files
        ],
    }
    publisher = _publisher(public.pages)
    if publisher:
        dataset["dct:publisher"] = publisher
    if contact := public.pages.get("contact"):
        kind = "vcard:hasEmail" if contact.startswith("mailto:") else "vcard:hasURL"
        dataset["dcat:contactPoint"] = {"@type": "vcard:Kind", kind: {"@id": contact}}
    found: dict[str, Any] = {
        "@context": _CONTEXT,
        "@id": f"{base}#catalogue",
        "@type": "dcat:Catalog",
        "dct:title": text(words("catalogue_title", title=public.title)),
        "dct:description": text(words("dataset_description")),
        "dct:language": {"@id": f"{_EU}/language/{_LANGUAGES[code]}"},
        "dct:license": {"@id": LICENCE},
        "dct:modified": _day(public.approved_on.isoformat()),
        **({"dct:publisher": publisher} if publisher else {}),
        "dcat:dataset": [dataset],
    }
    return json_bytes(found)


def _day(text: str) -> dict[str, str]:
    return {"@type": "xsd:date", "@value": text}


def _publisher(pages: Mapping[str, str]) -> dict[str, Any] | None:
    name = pages.get("publisher_name", "")
    if not name:
        return None
    address = pages.get("publisher_uri", "")
    return {
        **({"@id": address} if address else {}),
        "@type": "foaf:Agent",
        "foaf:name": name,
    }
