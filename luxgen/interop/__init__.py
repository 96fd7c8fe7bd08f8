"""Lux's interface over generated modules and over torch, and the seeds' adaptors.

Everything public is exported lazily from `luxgen`; only `adaptors` and `torch_layer`
import torch.
"""
