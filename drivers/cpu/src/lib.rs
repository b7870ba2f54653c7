//! The CPU driver: AVX-512, AVX2 and portable kernels picked at run time.
