//! Tokenizer, chat template, stop strings, incremental detokenizer.
