//! GGUF and safetensors, read and write.
