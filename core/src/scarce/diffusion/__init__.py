"""Diffusion of mixed spaces: process, priors, samplers, guidance, inpainting."""
