"""The command line: `rellm demo | complete | check | sample | explain | batch | completion`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rellm._cli.arguments import parser
from rellm._cli.terminal import INTERRUPTED, Terminal, write_what_can_be_written
from rellm._errors import RellmError

__all__ = ["main"]

OK, ERROR = 0, 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 if it did what it was asked for, 1 if a text does not match or stayed incomplete, 2 for an error, which is
        told on stderr in a line, 130 after ctrl-C.
    """
    write_what_can_be_written()
    arguments = parser().parse_args(argv)
    terminal = Terminal(color=arguments.color)
    try:
        status: int = arguments.run(arguments, terminal)
        sys.stdout.flush()
        return status
    except RellmError as error:
        terminal.error(f"{type(error).__name__}: {error}")
    except (ImportError, OSError, ValueError, TypeError) as error:
        if isinstance(error, BrokenPipeError):
            # The reader of our output has closed the pipe, so there is nobody to report to.
            sys.stderr.close()
            return OK
        if arguments.debug:
            raise
        terminal.error(str(error) or type(error).__name__)
    except KeyboardInterrupt:
        terminal.error("interrupted")
        return INTERRUPTED
    return ERROR
