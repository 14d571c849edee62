"""A real llama-server on loopback, as a process of its own.

`python tests/llama_server.py MODEL.gguf PORT N_PARALLEL` prints "ready http://127.0.0.1:PORT" when it
serves (port 0 takes a free one) and runs until it is ended. A request may ask for up to N_PARALLEL
choices. Ask with top_k=0, top_p=1, min_p=0: llama.cpp otherwise cuts the tail, and the temperature
means something else.
"""

from __future__ import annotations

import signal
import sys

import xllamacpp

CONTEXT = 64
"""Tokens of one choice, prompt and answer."""


def serve(model: str, port: int, parallel: int) -> xllamacpp.Server:
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.model_alias = {"hanoi"}
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_parallel = parallel
    params.n_ctx = max(CONTEXT, 256) * parallel
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.n_threads_http = parallel + 2
    params.warmup = False
    return xllamacpp.Server(params)


def main() -> None:
    model, port, parallel = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    server = serve(model, port, parallel)
    print("ready", server.listening_address, flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    main()
