"""Texts for scarce: modality, captions, a learner on pretrained encoders, and an evaluator."""
