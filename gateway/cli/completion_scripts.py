"""Completion scripts from the table of commands. They ask nobody: completing costs no start of the command."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from gateway.cli.command_tree import Node, Option

_QUOTED = re.compile(r"['\\]")
HELP = Option(names=("--help", "-h"), takes_value=False, choices=(), help="Show what a command does.")


def bash(nodes: Sequence[Node]) -> str:
    """For bash: to be sourced, or put where bash-completion looks."""
    return f"""\
_gateway() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} at="" i words="" options=""
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "$at/${{COMP_WORDS[i]}}" in
            {_paths(nodes)}) at="$at/${{COMP_WORDS[i]}}" ;;
        esac
    done
    case "$at:$prev" in
{_lines("        ", _bash_values(nodes))}
    esac
    case "$at" in
{_lines("        ", _bash_words(nodes))}
    esac
    if [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$options" -- "$cur"))
    elif [[ -n $words ]]; then
        COMPREPLY=($(compgen -W "$words" -- "$cur"))
    else
        COMPREPLY=($(compgen -f -- "$cur"))
    fi
}}
complete -o filenames -F _gateway gateway
"""


def zsh(nodes: Sequence[Node]) -> str:
    """For zsh: a file called ``_gateway`` in a folder of ``fpath``."""
    return f"""\
#compdef gateway
_gateway() {{
    local at="" word
    local -a described options
    for word in ${{words[2,CURRENT-1]}}; do
        case "$at/$word" in
            {_paths(nodes)}) at="$at/$word" ;;
        esac
    done
    case "$at:${{words[CURRENT-1]}}" in
{_lines("        ", _zsh_values(nodes))}
    esac
    case "$at" in
{_lines("        ", _zsh_words(nodes))}
    esac
    if [[ $PREFIX == -* ]]; then
        _describe -o option options
    elif (( $#described )); then
        _describe command described
    else
        _files
    fi
}}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _gateway "$@"; else compdef _gateway gateway; fi
"""


def fish(nodes: Sequence[Node]) -> str:
    """For fish: a file called ``gateway.fish`` in its folder of completions."""
    return f"""\
function __gateway_at
    set -l at ""
    for word in (commandline -opc)[2..-1]
        switch "$at/$word"
            case {" ".join(_q(f"/{'/'.join(node.path)}") for node in nodes if node.path)}
                set at "$at/$word"
        end
    end
    test "$at" = "$argv[1]"
end
{_lines("", _fish_lines(nodes))}
"""


def _bash_values(nodes: Iterable[Node]) -> Iterator[str]:
    for node in nodes:
        for option in node.options:
            if option.takes_value:
                patterns = "|".join(f'"{_at(node)}:{name}"' for name in option.names)
                found = f'-W "{" ".join(option.choices)}"' if option.choices else "-f"
                yield f'{patterns}) COMPREPLY=($(compgen {found} -- "$cur")); return ;;'


def _bash_words(nodes: Iterable[Node]) -> Iterator[str]:
    for node in nodes:
        words = " ".join((*node.children, *node.choices))
        yield f'"{_at(node)}") words="{words}" options="{" ".join(_option_names(node))}" ;;'


def _zsh_values(nodes: Iterable[Node]) -> Iterator[str]:
    for node in nodes:
        for option in node.options:
            if option.takes_value:
                patterns = "|".join(f'"{_at(node)}:{name}"' for name in option.names)
                found = f"compadd -- {' '.join(option.choices)}" if option.choices else "_files"
                yield f"{patterns}) {found}; return ;;"


def _zsh_words(nodes: Sequence[Node]) -> Iterator[str]:
    about = {node.path: node.help for node in nodes}
    for node in nodes:
        children = [_described(name, about[*node.path, name]) for name in node.children]
        words = " ".join([*children, *(_q(choice) for choice in node.choices)])
        options = " ".join(_described(name, one.help) for one in (*node.options, HELP) for name in one.names)
        yield f'"{_at(node)}") described=({words}) options=({options}) ;;'


def _fish_lines(nodes: Sequence[Node]) -> Iterator[str]:
    about = {node.path: node.help for node in nodes}
    for node in nodes:
        begin = f'complete -c gateway -n "__gateway_at {_q(_at(node))}"'
        for name in node.children:
            yield f"{begin} -f -a {_q(name)} -d {_q(about[*node.path, name])}"
        if node.choices:
            yield f"{begin} -f -a {_q(' '.join(node.choices))}"
        for option in (*node.options, HELP):
            names = " ".join(f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in option.names)
            value = f" -x -a {_q(' '.join(option.choices))}" if option.choices else " -r" if option.takes_value else ""
            yield f"{begin} {names}{value} -d {_q(option.help)}"


def _option_names(node: Node) -> Iterator[str]:
    for option in (*node.options, HELP):
        yield from option.names


def _paths(nodes: Iterable[Node]) -> str:
    return "|".join(_at(node) for node in nodes if node.path)


def _at(node: Node) -> str:
    return "".join(f"/{word}" for word in node.path)


def _described(name: str, about: str) -> str:
    return _q(f"{name}:{about}")


def _q(text: str) -> str:
    """A word for every shell here, in single quotes."""
    # Fish reads backslashes in single quotes, the others do not: such characters are left out.
    return f"'{_QUOTED.sub('', text)}'"


def _lines(indent: str, lines: Iterable[str]) -> str:
    return "\n".join(f"{indent}{line}" for line in lines)
