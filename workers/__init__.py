"""Where samples come from: OpenAI-compatible endpoints, the embedded model, simulated models."""
