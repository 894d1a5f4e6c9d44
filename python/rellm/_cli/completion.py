"""`rellm completion`: a script that teaches a shell to complete the commands and options of `rellm`."""

from __future__ import annotations

import argparse
from typing import Any

from rellm._cli.terminal import Terminal

# Options whose value is a file; for other values a shell has no proposals.
_FILES = {"--grammar", "--schema", "--model", "--html", "--prompt-file"}


def run(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from rellm._cli.arguments import parser

    terminal.print({"bash": _bash, "zsh": _zsh, "fish": _fish}[arguments.shell](_commands(parser())), end="")
    return 0


def _commands(top: argparse.ArgumentParser) -> dict[str, tuple[str, list[argparse.Action]]]:
    """Each command with its summary and its options."""
    groups: Any = next(action for action in top._actions if isinstance(action, argparse._SubParsersAction))
    summaries = {choice.dest: choice.help or "" for choice in groups._choices_actions}
    return {
        name: (summaries[name], [action for action in command._actions if action.option_strings])
        for name, command in groups.choices.items()
    }


def _long(action: argparse.Action) -> str:
    return action.option_strings[-1]


def _bash(commands: dict[str, tuple[str, list[argparse.Action]]]) -> str:
    cases = "\n".join(
        f"        {name}) options={' '.join(_long(action) for action in actions)!r} ;;"
        for name, (_, actions) in commands.items()
    )
    values: dict[str, str] = {
        _long(action): f"COMPREPLY=($(compgen -W '{' '.join(map(str, action.choices))}' -- \"$word\"))"
        for _, actions in commands.values()
        for action in actions
        if action.choices
    }
    values["|".join(sorted(_FILES))] = 'COMPREPLY=($(compgen -f -- "$word"))'
    choices = "\n".join(f"        {option}) {reply}; return ;;" for option, reply in values.items())
    return f"""\
# rellm in bash: eval "$(rellm completion bash)"
_rellm() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}} options
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W '{" ".join(commands)} --help --version' -- "$word"))
        return
    fi
    case $before in
{choices}
    esac
    case ${{COMP_WORDS[1]}} in
{cases}
        *) return ;;
    esac
    if [[ $word == -* ]]; then COMPREPLY=($(compgen -W "$options" -- "$word")); fi
}}
complete -o default -F _rellm rellm
"""


def _quoted(text: str) -> str:
    """A text between single quotes, as every shell reads it."""
    return "'" + text.replace("'", "'\\''") + "'"


def _told(action: argparse.Action) -> str:
    return " ".join((action.help or "").replace("%%", "%").split())


def _zsh(commands: dict[str, tuple[str, list[argparse.Action]]]) -> str:
    def option(action: argparse.Action) -> str:
        told = _told(action).replace("[", "(").replace("]", ")").replace(":", "\\:")
        value = ""
        if action.nargs != 0:
            offered = f"({' '.join(map(str, action.choices))})" if action.choices else ""
            offered = "_files" if _long(action) in _FILES else offered or " "
            value = f":{(action.metavar or action.dest)!s}:{offered}"
        return _quoted(f"{_long(action)}[{told}]{value}")

    listed = " ".join(_quoted(f"{name}:{summary}") for name, (summary, _) in commands.items())
    cases = "\n".join(
        f"        {name}) _arguments {' '.join(map(option, actions))} '*:: :_files' ;;"
        for name, (_, actions) in commands.items()
    )
    return f"""\
#compdef rellm
# rellm in zsh: eval "$(rellm completion zsh)", after compinit
_rellm() {{
    local -a commands=({listed})
    if (( CURRENT == 2 )); then _describe command commands; return; fi
    local command=$words[2]
    shift words
    (( CURRENT-- ))
    case $command in
{cases}
    esac
}}
compdef _rellm rellm
"""


def _fish(commands: dict[str, tuple[str, list[argparse.Action]]]) -> str:
    lines = ["# rellm in fish: rellm completion fish | source", "complete -c rellm -f"]
    for name, (summary, actions) in commands.items():
        lines.append(f"complete -c rellm -n __fish_use_subcommand -a {name} -d {_quoted(summary)}")
        for action in actions:
            parts = [f"complete -c rellm -n '__fish_seen_subcommand_from {name}' -l {_long(action).lstrip('-')}"]
            if not _long(action).startswith("--"):
                parts = [parts[0].replace(" -l ", " -s ")]
            if action.choices:
                parts.append(f"-xa {_quoted(' '.join(map(str, action.choices)))}")
            elif _long(action) in _FILES:
                parts.append("-rF")
            elif action.nargs != 0:
                parts.append("-x")
            lines.append(" ".join([*parts, f"-d {_quoted(_told(action))}"]))
    return "\n".join(lines) + "\n"
