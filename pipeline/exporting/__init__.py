"""Encoders handed on: weights as torchvision, timm or anyone loads them, with a configuration and a model card."""
