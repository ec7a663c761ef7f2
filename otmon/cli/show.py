"""`otmon assets`, `operations`, `blocks` and `graph`: what a result folder holds, as a table or exported."""

from pathlib import Path

import click

from otmon.cli.common import emit, emit_json, emit_rich, folder_argument, form_options, open_results, tags_of

ROWS = 500
"""Rows of a table for people; --json and --csv give all."""
_ASSET_COLUMNS = (
    *("id", "address", "realm", "name", "parent", "zone", "level", "roles", "macs", "vendor", "model", "firmware"),
    *("first_ts_ns", "last_ts_ns"),
)
_OPERATION_COLUMNS = (
    *("realm", "client", "server", "transport", "port", "protocol", "unit", "link_source", "link_destination"),
    *(
        "function_code",
        "function",
        "access",
        "initiated_by",
        "target.space",
        "target.start",
        "target.end",
        "target.name",
    ),
)
_OPERATION_FIGURES = (
    *("attempted", "accepted", "rejected", "partial", "unanswered", "unseen", "pending", "bytes", "first_ts_ns"),
    *("last_ts_ns", "period_ns", "period_spread_ns", "response_ns.p50", "response_ns.p99", "verdict", "row"),
)
_BLOCK_COLUMNS = (
    *("realm", "server", "protocol", "unit", "block", "type", "number", "file_system", "direction", "client"),
    *("state", "length", "sha256", "before", "transfers", "first_ts_ns", "last_ts_ns"),
)


@click.command(epilog="\b\nExamples:\n  otmon assets\n  otmon assets results/week --csv > assets.csv\n")
@folder_argument
@form_options
def assets(folder: Path, form: str | None) -> None:
    """Show the devices found.

    Their addresses, zones, roles, vendor and model; with --json also the evidence.
    """
    with open_results(folder) as results:
        found = results.assets
    if form == "json":
        emit_json(asset.as_record() for asset in found)
    elif form == "csv":
        from otmon.outputs.csvtext import to_csv

        rows = (
            asset.as_record()
            | {"address": asset.endpoints[0].address, "realm": asset.endpoints[0].realm}
            | {name: asset.best(name) for name in ("vendor", "model", "firmware")}
            for asset in found
        )
        emit(to_csv(rows, _ASSET_COLUMNS))
    else:
        from otmon.outputs.tables import assets_table

        emit_rich(lambda out: out.print(assets_table(found, ROWS)))


@click.command(
    epilog="\b\nExamples:\n  otmon operations\n  otmon operations results/week --json | jq '.[].operation'\n"
)
@folder_argument
@form_options
def operations(folder: Path, form: str | None) -> None:
    """Show who did what to what.

    Client, server, function, target, how often, with which outcome, in which rhythm. Points are called by the names
    that the tag map of the policy gives them, as long as both are what they were.
    """
    from otmon.site.records import operation_record

    with open_results(folder) as results:
        found = results.operations
        tags = None if form else tags_of(folder, results)
    if form == "json":
        emit_json(map(operation_record, found))
    elif form == "csv":
        from otmon.outputs.csvtext import to_csv

        rows = ({**record, **record["operation"]} for record in map(operation_record, found))
        emit(to_csv(rows, (*_OPERATION_COLUMNS, *_OPERATION_FIGURES)))
    else:
        from otmon.outputs.tables import operations_table

        emit_rich(lambda out: out.print(operations_table(found, ROWS, tags=tags)))


@click.command(epilog="\b\nExamples:\n  otmon blocks\n  otmon blocks results/week --csv > blocks.csv\n")
@folder_argument
@form_options
def blocks(folder: Path, form: str | None) -> None:
    """Show the controller logic that was moved.

    Each block seen in an upload or a download: controller, by whom, length, hash, and whether it changed.
    """
    from otmon.site.records import block_record

    with open_results(folder) as results:
        found = results.blocks
    if form == "json":
        emit_json(map(block_record, found))
    elif form == "csv":
        from otmon.outputs.csvtext import to_csv

        emit(to_csv(map(block_record, found), _BLOCK_COLUMNS))
    else:
        from otmon.outputs.tables import blocks_table

        emit_rich(lambda out: out.print(blocks_table(found, ROWS)))


@click.command(
    epilog="\b\nExamples:\n  otmon graph\n  otmon graph results/week --format dot | dot -Tsvg > plant.svg\n"
    "  otmon graph --format graphml > plant.graphml\n"
)
@folder_argument
@click.option("--format", "export", type=click.Choice(["graphml", "gexf", "dot", "json"]), help="Print the graph so.")
@form_options
def graph(folder: Path, export: str | None, form: str | None) -> None:
    """Show who speaks with whom, or export it.

    The graph has an edge for each pair of devices, protocol and function.
    """
    from otmon.site.export import FORMATS
    from otmon.site.graph import build_graph

    with open_results(folder) as results:
        found = build_graph(results)
    chosen = export or form
    if chosen == "csv":
        from otmon.outputs.csvtext import to_csv

        label = {node.id: node.label for node in found.nodes}
        rows = ({"from": label[edge.source], "to": label[edge.target], **edge.attributes()} for edge in found.edges)
        columns = list(found.edges[0].attributes()) if found.edges else []
        emit(to_csv(rows, ["from", "to", *columns]))
    elif chosen is not None:
        emit(FORMATS[chosen](found))
    else:
        from otmon.outputs.tables import conduits_table

        emit_rich(lambda out: out.print(conduits_table(found, ROWS)))
