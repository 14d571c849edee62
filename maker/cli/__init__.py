"""The command line. One file a command, or a family of them.

With --json, stdout holds JSON lines only and everything else goes to stderr. What a model wrote is
shown escaped, always. Nothing heavy (ray, openai, numpy) is imported before a command needs it.
"""

from __future__ import annotations

import sys

import typer

from maker.cli import (
    calibrate,
    check,
    ctl,
    decide,
    doctor,
    export,
    fork,
    jobs,
    look,
    models,
    new,
    plan,
    replay,
    result,
    run,
    show,
    steps,
    submit,
)
from maker.errors import MakerError, inert

app = typer.Typer(
    name="maker",
    help="Runs an LLM task of up to millions of dependent steps without a wrong step.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("run")(run.run)
app.command("submit")(submit.submit)
app.command("logs")(jobs.logs)
app.command("stop")(jobs.stop)
app.command("new")(new.new)
app.command("plan")(plan.plan)
app.command("check")(check.check)
app.command("calibrate")(calibrate.calibrate)
app.command("steps")(steps.steps)
app.command("resume")(run.resume)
app.command("ls")(look.ls)
app.command("decide")(decide.decide)
app.command("status")(look.status)
app.command("ctl")(ctl.ctl)
app.command("show")(show.show)
app.command("verify")(look.verify)
app.command("replay")(replay.replay)
app.command("result")(result.result)
app.command("export")(export.export)
app.command("fork")(fork.fork)
app.command("models")(models.models)
app.command("doctor")(doctor.doctor)


def main() -> None:
    """Every error a person can act on is one line on stderr and an exit code (see errors.py)."""
    try:
        app()
    except MakerError as error:
        lines = (inert(line, 2000) for line in str(error).split("\n"))
        print("maker: " + "\n".join(lines), file=sys.stderr)
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("maker."):
            raise
        print(f"maker: {error.name} is missing from this installation: run `maker doctor`", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        print(f"maker: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        if not sys.stderr.closed and sys.stderr.isatty():
            sys.stderr.write("\x1b[?25h")  # an impatient Ctrl-C may have left the cursor hidden
