"""The APIs that programs already speak: OpenAI's and Anthropic's, over the topics. `routes` has them all."""

from connectors.gateway.dialects.table import routes

__all__ = ["routes"]
