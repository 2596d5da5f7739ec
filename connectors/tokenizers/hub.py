"""Gets a model's `tokenizer.json` from the Hugging Face hub, or from its cache on this machine."""

from pathlib import Path

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from connectors.tokenizers.errors import TokenizerError


def download(name: str, endpoint: str | None = None) -> Path:
    """The path of the file of `OWNER/MODEL` or `OWNER/MODEL@REVISION`.

    The environment variables of `huggingface_hub` hold (`HF_HOME`, `HF_TOKEN`, `HF_HUB_OFFLINE`).

    Raises:
        TokenizerError: When the model or the hub can't be had.
    """
    model, _, revision = name.partition("@")
    try:
        return Path(hf_hub_download(model, "tokenizer.json", revision=revision or None, endpoint=endpoint))
    except LocalEntryNotFoundError as error:
        hint = "check the connection, or name the path of a tokenizer.json"
        raise TokenizerError(f"the hub can't be reached for {name}", hint) from error
    except (HfHubHTTPError, HFValidationError) as error:
        line = str(error).strip().splitlines()[0][:200]
        raise TokenizerError(f"{name} can't be had ({line})", "check its name and HF_TOKEN") from error
