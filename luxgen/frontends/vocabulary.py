"""How the tracer treats torch functions that aren't ordinary ops."""

from __future__ import annotations

# Questions about a tensor that don't look at its data: answered, not recorded.
METADATA = frozenset({
    "dim", "ndimension", "ndim", "is_floating_point", "is_complex", "dtype", "device",
    "layout", "is_contiguous", "element_size", "requires_grad", "is_leaf", "is_cuda",
    "is_cpu", "is_mps", "is_xpu", "is_meta", "is_sparse", "is_quantized", "is_mkldnn",
    "is_nested", "is_inference", "is_signed", "is_neg", "is_conj", "is_same_size",
    "get_device", "grad_fn", "grad", "names", "has_names", "itemsize", "result_type",
    "can_cast", "promote_types", "_is_view", "_version", "is_shared", "is_pinned",
    "is_tensor", "is_storage", "is_grad_enabled", "storage_offset", "_backward_hooks",
    "type_name", "is_coalesced", "is_vulkan", "is_ipu", "is_maia", "is_mtia", "is_hpu",
    "is_xla", "is_ort", "name", "output_nr", "retains_grad", "_base", "is_sparse_csr",
    "volatile", "requires_grad_", "retain_grad", "register_hook", "is_distributed",
    "_set_grad_enabled", "set_grad_enabled", "_has_compatible_shallow_copy_type",
    "__format__", "__repr__", "__hash__", "__dir__", "unsafe_chunk_meta", "_is_zerotensor",
    "_is_functional_tensor", "_is_batched", "dim_order", "get_default_dtype",
    "is_autocast_enabled", "get_autocast_dtype", "is_inference_mode_enabled",
})  # fmt: skip

SHAPES = frozenset({"shape", "size", "numel", "nelement", "__len__", "stride"})

# Random ops: the class of the state they read and replace.
RANDOM = {
    **dict.fromkeys(
        ("dropout", "dropout1d", "dropout2d", "dropout3d", "feature_dropout",
         "alpha_dropout", "feature_alpha_dropout", "rrelu"),
        "DropoutState",
    ),
    **dict.fromkeys(
        ("rand", "randn", "rand_like", "randn_like", "randint", "randint_like",
         "randperm", "normal", "bernoulli", "multinomial", "poisson", "uniform",
         "exponential", "random", "gumbel_softmax", "log_normal", "cauchy",
         "geometric", "binomial", "standard_gamma"),
        "NoiseState",
    ),
}  # fmt: skip

# Random only in training and by an option: (option, its "off" value).
RANDOM_OPTION = {"scaled_dot_product_attention": ("dropout_p", 0.0)}

# The state's field for an op that a forward calls itself, if not the op's own name.
FIELD_NAMES = {
    "scaled_dot_product_attention": "attention_dropout",
    **dict.fromkeys(("rand_like", "randn_like", "rand", "randn", "normal"), "noise"),
}
