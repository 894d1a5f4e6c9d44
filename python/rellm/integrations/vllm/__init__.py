"""The structured-output backend "rellm" of vLLM.

vLLM finds `register` by the entry point `vllm.general_plugins` in each of its processes. It adds the name "rellm" to
the available backends, and changes nothing else:

    vllm serve MODEL --structured-outputs-config '{"backend": "rellm"}'
    LLM(MODEL, structured_outputs_config={"backend": "rellm"})

Nothing of vLLM is imported with this module. See docs/engines/vllm.md.
"""

from __future__ import annotations

import logging

__all__ = ["register"]

_log = logging.getLogger("rellm")


def register() -> None:
    """Add "rellm" to vLLM's structured-output backends; never raises.

    If this vLLM lacks a name that the backend needs, nothing is changed and the log names it: a server that asks for
    the backend then fails with vLLM's own error at its start.
    """
    try:
        from rellm.integrations.vllm.add_backend import MissingNameError, add_backend

        try:
            add_backend()
        except MissingNameError as error:
            _log.warning(
                "rellm is no structured-output backend of this vLLM, which lacks %s; vLLM is left as it is. "
                "The versions that were checked stand in docs/engines/vllm.md",
                error,
            )
    except Exception as error:  # a plug-in that raises would stop a server that does not ask for it
        _log.warning("rellm is no structured-output backend of this vLLM: %s: %s", type(error).__name__, error)
