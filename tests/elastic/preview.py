"""Every dashboard as a static page with what its requests find on a real node, and as a picture.

    python -m tests.elastic.preview FOLDER [--pictures]        make preview

Pictures need Chromium (Debian: chromium). This shows layout, words and figures; Kibana itself was never run.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from elasticsearch import Elasticsearch, helpers

from otmon.outputs.elastic.documents import data_stream, document
from otmon.outputs.elastic.templates import templates
from otmon.outputs.kibana.dashboards import DASHBOARDS
from otmon.outputs.kibana.panels import GRID_COLUMNS, Dashboard, Query, placed
from otmon.outputs.kibana.requests import index_of, request
from tests.elastic.drawing import TIME_BAR, page
from tests.elastic.recipe import prepare
from tests.elastic.sample import sample
from tests.elastic.server import Node

WIDTH = 1584
GRID_ROW = 28
ABOVE = 115
JSON = {"content-type": "application/json", "accept": "application/json"}


def install(client: Elasticsearch, namespace: str) -> None:
    """The templates of one namespace."""
    for template in templates(namespace):
        client.perform_request("PUT", f"/_{template.kind}_template/{template.name}", headers=JSON, body=template.body)


def clear(client: Elasticsearch, namespace: str) -> None:
    """What `install` and `fill` left; the component templates stay, which all namespaces share."""
    client.options(ignore_status=404).indices.delete_data_stream(name=f"*otmon*-{namespace}")
    for template in templates(namespace):
        if template.kind == "index":
            client.options(ignore_status=404).indices.delete_index_template(name=template.name)


def fill(client: Elasticsearch, namespace: str, now_ns: int) -> int:
    """Templates and the sample; gives how many documents."""
    install(client, namespace)
    actions = [
        {"_op_type": "create", "_index": data_stream(one.stream, namespace), "_id": one.id, **document(one)}
        for one in sample(now_ns)
    ]
    done, _ = helpers.bulk(client, actions)
    client.indices.refresh(index=f"*otmon*-{namespace}")
    return done


def search(
    client: Elasticsearch, index: str, body: dict[str, Any], since: str, chosen: dict[str, str] | None = None
) -> dict[str, Any]:
    """A request as Kibana sends it, with the time that is looked at, and what was chosen in the lists above."""
    filters = [{"term": {field: value}} for field, value in (chosen or {}).items()]
    time_range = {"range": {"@timestamp": {"gte": since, "lte": "now"}}}
    query = {"bool": {"filter": [body["query"], time_range, *filters]}}
    path = f"/{index}/_search"
    return dict(client.perform_request("POST", path, headers=JSON, body=body | {"query": query}).body)


def choices(client: Elasticsearch, dashboard: Dashboard) -> dict[str, str]:
    """Triage is about one alert: a forbidden write; conduits are about one plant."""
    if dashboard.name == "conduits":
        return {"otmon.site": "water-works-3"}
    if dashboard.name != "triage":
        return {}
    body = {"query": {"term": {"otmon.policy.row": "historian-only-reads/1"}}, "fields": ["otmon.alert.id"], "size": 1}
    hits = search(client, index_of("alert"), body, dashboard.since)["hits"]["hits"]
    return {"otmon.alert.id": hits[0]["fields"]["otmon.alert.id"][0]}


def answers(client: Elasticsearch, dashboard: Dashboard, chosen: dict[str, str]) -> dict[str, Any]:
    found = {}
    for place in placed(dashboard):
        body = request(place.panel, interval=TIME_BAR)
        if body is not None:
            assert isinstance(place.panel, Query)
            found[place.id] = search(client, index_of(place.panel.stream), body, dashboard.since, chosen)
    return found


def picture(file: Path, height: int) -> None:
    """Of a page, beside it; small where pngquant is (Debian: pngquant)."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("no Chromium (Debian: chromium)")
    png = file.with_suffix(".png")
    with tempfile.TemporaryDirectory() as profile:
        command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        command += [f"--user-data-dir={profile}", f"--window-size={WIDTH},{height}", f"--screenshot={png}"]
        command += ["--force-device-scale-factor=0.8", file.as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
    if pngquant := shutil.which("pngquant"):
        subprocess.run([pngquant, "--force", "--ext", ".png", "32", str(png)], check=True)


def draw(client: Elasticsearch, folder: Path, pictures: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for dashboard in DASHBOARDS:
        file = folder / f"{dashboard.name}.html"
        chosen = choices(client, dashboard)
        file.write_text(page(dashboard, answers(client, dashboard, chosen), chosen))
        if pictures:
            picture(file, ABOVE + GRID_ROW * sum(row.height for row in dashboard.rows))


def main() -> None:
    folder = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as home, Node(prepare(), Path(home) / "node") as node, node.client() as client:
        print(f"{fill(client, 'preview', time.time_ns()):,} documents on {node.url}")
        draw(client, folder, "--pictures" in sys.argv)
    print(f"{folder}: {len(DASHBOARDS)} pages in {GRID_COLUMNS} columns")


if __name__ == "__main__":
    main()
