"""DataDream for scarce: few-shot adaptation of text-to-image models to make training sets."""
