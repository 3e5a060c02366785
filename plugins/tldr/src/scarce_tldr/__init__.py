"""Tables denoised by a pretrained BERT, for scarce."""
