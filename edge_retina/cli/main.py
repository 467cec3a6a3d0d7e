"""The `edge-retina` program: the table of commands, and error handling.

A command's module is imported only when the command is called. So `edge-retina --help` is fast, and
a device without TensorFlow can run the commands that don't need it. The command summaries are here
for the same reason.

Exit codes: 0 success; 1 failure, with one line on standard error; 2 wrong usage; 130 interrupted
(Ctrl-C), 143 terminated. A command line that can't be understood is wrong usage: an unknown command
or option, a missing one, options that exclude each other. A value that an option can't take is a
failure like any other bad input, whether click refuses it or the library does.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import click
from click.shell_completion import CompletionItem

import edge_retina
from edge_retina.cli.interruption import Interruption, leave
from edge_retina.cli.logs import configure_logging
from edge_retina.cli.options import Session, debug_option
from edge_retina.errors import EdgeRetinaError, choices_hint, missing_extra, one_line


class CommandEntry(NamedTuple):
    """A command, imported when it is called: its module defines `command`."""

    module: str
    summary: str


# In the order in which a new user needs them.
COMMANDS = {
    "demo": CommandEntry("edge_retina.cli.demo", "Run the whole pipeline on generated images."),
    "run": CommandEntry("edge_retina.cli.run", "Run the whole pipeline on your data; resumable."),
    "new": CommandEntry("edge_retina.cli.new", "Write a config for a data set, with its reasons."),
    "train": CommandEntry("edge_retina.cli.train", "Train a float model."),
    "quantize": CommandEntry("edge_retina.cli.quantize", "Make a trained model int8-ready."),
    "export": CommandEntry("edge_retina.cli.export", "Write .tflite files and their manifest."),
    "decoder": CommandEntry(
        "edge_retina.cli.decoder", "Write source code that decodes a file without NMS."
    ),
    "evaluate": CommandEntry("edge_retina.cli.evaluate", "Measure COCO metrics of a model."),
    "benchmark": CommandEntry("edge_retina.cli.benchmark", "Compare latency and mAP of models."),
    "report": CommandEntry("edge_retina.cli.report", "Make pages of a benchmark's JSON."),
    "predict": CommandEntry("edge_retina.cli.predict", "Find objects in images and draw them."),
    "doctor": CommandEntry(
        "edge_retina.cli.doctor", "Diagnose a data set, a training or an int8 model."
    ),
    "tune": CommandEntry("edge_retina.cli.tune", "Search for better training settings."),
    "inspect": CommandEntry(
        "edge_retina.cli.inspect", "Show what is in a .tflite file and what can load it."
    ),
    "anchors": CommandEntry("edge_retina.cli.anchors", "Fit anchor shapes to a data set."),
    "design": CommandEntry(
        "edge_retina.cli.design", "Find the network that fits a time on a device."
    ),
    "convert": CommandEntry("edge_retina.cli.convert", "Convert a data set to another format."),
    "import": CommandEntry(
        "edge_retina.cli.import_", "Turn a detector of another framework into a RUN."
    ),
    "verify-resume": CommandEntry(
        "edge_retina.cli.verify_resume", "Prove that a killed training loses nothing."
    ),
}


START = """\
edge-retina trains object detectors for phones and boards. To start:

  edge-retina demo                                 the whole pipeline on generated images
  edge-retina new DATA                             a config for your own labelled images
  edge-retina predict MODEL IMAGE... --out drawn   find objects with a trained model

'edge-retina --help' lists all commands.\
"""


class Program(click.Group):
    """A group that imports its commands on use and prints errors as one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the command names in table order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command; None if there is no such command."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command: click.Command = importlib.import_module(entry.module).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that `args` name; for an unknown one, suggest the right name."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"no such command '{args[0]}'; {choices_hint(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the name of a command without importing any."""
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [
            CompletionItem(name, help=entry.summary)
            for name, entry in COMMANDS.items()
            if name.startswith(incomplete)
        ]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the program and exit with its exit code.

        Without `standalone_mode`, errors propagate to the caller, as with any click command.
        """
        session = Session()
        extra = {"obj": session, **extra}
        name = prog_name or "edge-retina"
        if not standalone_mode:
            return super().main(args, name, complete_var, standalone_mode=False, **extra)
        interruption = Interruption()
        # Called with arguments, it is part of another program, whose signals are not ours.
        with interruption.watch() if args is None else nullcontext():
            try:
                code = super().main(args, name, complete_var, standalone_mode=False, **extra)
            except click.ClickException as error:
                if _is_bad_value(error):
                    click.echo(f"Error: {one_line(error.format_message())}", err=True)
                    code = 1
                else:
                    error.show()
                    code = error.exit_code
            except (KeyboardInterrupt, click.Abort):
                code = _interrupted(interruption)
            except Exception as error:
                if session.debug:
                    traceback.print_exc()
                if interruption:  # it follows from that
                    code = _interrupted(interruption)
                else:
                    click.echo(f"Error: {describe(error)}", err=True)
                    code = 1
        if interruption:
            leave(code)  # taking TensorFlow down in good order can take many seconds
        sys.exit(code if isinstance(code, int) else 0)


def _is_bad_value(error: click.ClickException) -> bool:
    """Tell a value that an option or argument can't take from a command line that is wrong."""
    is_missing = isinstance(error, click.MissingParameter)  # which click counts among the former
    return isinstance(error, click.BadParameter) and not is_missing


def _interrupted(interruption: Interruption) -> int:
    if interruption.is_first_to_say():
        click.echo("Interrupted.", err=True)
    return interruption.exit_code


def describe(error: Exception) -> str:
    """Return one line for an error: our own message, or for other errors a hint what to do."""
    return one_line(_description(error))


def _description(error: Exception) -> str:
    if isinstance(error, EdgeRetinaError):
        return str(error)
    if isinstance(error, ImportError) and (extra := missing_extra(error, "this command")):
        return extra
    if isinstance(error, OSError) and error.filename and error.strerror:
        return (
            f"{error.filename}: {error.strerror}; "
            "use another path, or check its permissions and the free space"
        )
    if isinstance(error, OSError) and error.strerror:  # of an open file, whose name it doesn't know
        return f"{error.strerror}; check the free space and the permissions of what is written"
    what = f"{type(error).__name__}: {error}".removesuffix(": ")
    return f"unexpected {what}; run again with --debug and report it"


@click.group(cls=Program, invoke_without_command=True)
@click.version_option(edge_retina.__version__, prog_name="edge-retina")
@debug_option
@click.pass_context
def main(context: click.Context) -> None:
    """From a folder of labelled images to an int8 object detector that runs on a phone.

    Example: edge-retina demo --out runs/demo

    'edge-retina COMMAND --help' explains a command. Results go to standard output; progress and
    logs go to standard error.
    """
    if context.invoked_subcommand is None:
        click.echo(START)
        return
    configure_logging(debug=context.ensure_object(Session).debug)


if __name__ == "__main__":
    main()
