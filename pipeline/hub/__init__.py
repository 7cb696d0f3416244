"""The Hugging Face hub: what is pushed to it, and what a location `hf://...` names there."""
