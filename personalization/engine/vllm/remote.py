"""The vLLM server over HTTP: token ids in, token ids out as they come, errors in words.

Knows nothing of requests or text. A connection that is closed ends the answer on the server, too.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import httpx2

from personalization.engine.vllm.door import COMPLETIONS, FORGET
from personalization.errors import ModelError

Piece = tuple[list[int], str | None]  # new tokens, and the reason when they are the last


class Unreachable(ModelError):
    """Nobody listens at the server's address; nothing was sent."""

    retryable = True


class Remote:
    """A server at `url`, which serves the base model that is called `base_name`."""

    def __init__(self, url: str, key: str, *, base_name: str) -> None:
        self._base_name = base_name
        self._http = httpx2.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"},
            # Answers wait their turn on the server; how long they may take is the requests' affair.
            timeout=httpx2.Timeout(None, connect=5.0),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=64),
            trust_env=False,  # no proxy on the way to it
        )
        self._context: int | None = None

    async def context(self) -> int:
        """Return how many tokens the server reads at most, asked once.

        Raises ModelError when it serves another base model, and Unreachable.
        """
        if self._context is None:
            served = {each["id"]: each for each in (await self._send("GET", "/v1/models"))["data"]}
            if self._base_name not in served:
                raise ModelError(
                    "the vLLM server (ALIGN_VLLM_URL) serves another base model than ALIGN_MODEL names here; "
                    "start it with the same"
                )
            self._context = int(served[self._base_name]["max_model_len"])
        return self._context

    async def complete(self, body: dict[str, Any]) -> AsyncGenerator[Piece, None]:
        """Yield the tokens of a completion as they come. Raises ModelError, and Unreachable."""
        body = {"model": self._base_name, **body, "stream": True, "return_token_ids": True}
        try:
            async with self._http.stream("POST", COMPLETIONS, json=body) as response:
                if response.status_code != 200:
                    raise _error(response.status_code, await response.aread())
                async for line in response.aiter_lines():
                    if line.startswith("data: ") and line != "data: [DONE]":
                        yield _piece(json.loads(line.removeprefix("data: ")))
        except httpx2.ConnectError as error:
            self._context = None  # it may come back with another model
            raise Unreachable("the vLLM server does not answer; try again later") from error
        except httpx2.TransportError as error:
            raise ModelError("the vLLM server broke off; try again") from error

    async def forget(self, digests: Sequence[str]) -> None:
        """Have what was deleted dropped. Raises ModelError, and Unreachable."""
        await self._send("POST", FORGET, {"digests": list(digests)})

    async def close(self) -> None:
        """Close every connection."""
        await self._http.aclose()

    async def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        try:
            response = await self._http.request(method, path, json=body)
        except httpx2.TransportError as error:
            raise Unreachable("the vLLM server does not answer; try again later") from error
        if response.status_code != 200:
            raise _error(response.status_code, response.content)
        return response.json()


def _piece(chunk: dict[str, Any]) -> Piece:
    if "error" in chunk:
        raise ModelError(_words(chunk))
    choices = chunk["choices"]
    return (
        (list(choices[0].get("token_ids") or ()), choices[0].get("finish_reason")) if choices else ([], None)
    )


def _error(status: int, content: bytes) -> ModelError:
    if status == 401:
        return ModelError("the vLLM server has another key than ALIGN_VLLM_KEY")
    try:
        return ModelError(_words(json.loads(content)))
    except (ValueError, TypeError):
        return ModelError(f"the vLLM server answered {status}; its log says why")


def _words(answer: dict[str, Any]) -> str:
    error = answer.get("error")
    return str(error.get("message") if isinstance(error, dict) else error)
