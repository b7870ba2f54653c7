//! Operations that sum a sequence up, a token at a time.

use mains_contract::Activation;

use super::{activated, narrow};

/// The causal convolution of `x` after the rows in `state`, which then takes x in (oldest row first). `kernels` has one
/// row a number of x.
pub(crate) fn convolve(
    x: &[f32],
    kernels: &[f32],
    activation: Option<Activation>,
    state: &mut [f32],
    out: &mut [f32],
) {
    let width = x.len();
    let kernel = kernels.len() / width;
    for (at, (out, weights)) in out.iter_mut().zip(kernels.chunks_exact(kernel)).enumerate() {
        let earlier = state.iter().skip(at).step_by(width);
        let inputs = earlier.chain([&x[at]]);
        let terms = inputs
            .zip(weights)
            .map(|(x, weight)| f64::from(*x) * f64::from(*weight));
        let sum: f64 = terms.sum();
        *out = narrow(activation.map_or(sum, |activation| activated(activation, sum)));
    }
    if kernel > 1 {
        state.copy_within(width.., 0);
        let last = state.len() - width;
        state[last..].copy_from_slice(x);
    }
}

/// Sizes of a gated delta rule, as the operation gives them.
pub(crate) struct DeltaShape {
    pub(crate) heads: usize,
    pub(crate) key_heads: usize,
    pub(crate) key_dim: usize,
    pub(crate) value_dim: usize,
}

/// One token of the gated delta rule (arXiv 2412.06464) on `state`, `heads x key_dim x value_dim`. `inputs` are q, k, v,
/// decay and beta.
pub(crate) fn gated_delta(shape: &DeltaShape, inputs: [&[f32]; 5], state: &mut [f32], out: &mut [f32]) {
    let [q, k, v, decay, beta] = inputs;
    let DeltaShape {
        heads,
        key_heads,
        key_dim,
        value_dim,
    } = *shape;
    let heads_per_key = heads / key_heads;
    let matrices = state.chunks_exact_mut(key_dim * value_dim);
    for (head, (state, out)) in matrices.zip(out.chunks_exact_mut(value_dim)).enumerate() {
        let key = &k[head / heads_per_key * key_dim..][..key_dim];
        let query = &q[head / heads_per_key * key_dim..][..key_dim];
        let value = &v[head * value_dim..][..value_dim];
        let (decay, beta) = (f64::from(decay[head]).exp(), f64::from(beta[head]));
        for (column, (out, value)) in out.iter_mut().zip(value).enumerate() {
            let column = |key: usize| key * value_dim + column;
            let terms = key.iter().enumerate();
            let known: f64 = terms
                .map(|(at, key)| f64::from(state[column(at)]) * decay * f64::from(*key))
                .sum();
            let change = beta * (f64::from(*value) - known);
            let mut sum = 0.0;
            for (at, (key, query)) in key.iter().zip(query).enumerate() {
                let number = &mut state[column(at)];
                *number = narrow(f64::from(*number) * decay + f64::from(*key) * change);
                sum += f64::from(*number) * f64::from(*query);
            }
            *out = narrow(sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{DeltaShape, convolve, gated_delta};
    use mains_contract::Activation;

    #[test]
    fn a_convolution_looks_back_over_its_kernel() {
        // Two numbers a row; kernels of three, newest last.
        let kernels = [1.0, 10.0, 100.0, 0.0, 0.0, 1.0];
        let mut state = [0.0; 4];
        let mut outs = Vec::new();
        for x in [[1.0, 5.0], [2.0, 6.0], [3.0, 7.0], [4.0, 8.0]] {
            let mut out = [0.0; 2];
            convolve(&x, &kernels, None, &mut state, &mut out);
            outs.push(out);
        }
        assert_eq!(outs, [[100.0, 5.0], [210.0, 6.0], [321.0, 7.0], [432.0, 8.0]]);
        assert_eq!(state, [3.0, 7.0, 4.0, 8.0]);
        let mut out = [0.0; 2];
        convolve(
            &[-9.0, -9.0],
            &kernels,
            Some(Activation::Relu),
            &mut state,
            &mut out,
        );
        assert_eq!(out, [0.0, 0.0]);
    }

    #[test]
    fn a_kernel_of_one_keeps_nothing() {
        let mut out = [0.0; 2];
        convolve(&[3.0, 4.0], &[2.0, -1.0], None, &mut [], &mut out);
        assert_eq!(out, [6.0, -4.0]);
    }

    #[test]
    fn a_value_is_found_again_by_its_key_and_fades() {
        let shape = DeltaShape {
            heads: 2,
            key_heads: 1,
            key_dim: 2,
            value_dim: 1,
        };
        let mut state = [0.0; 4];
        let mut token = |q: [f32; 2], k: [f32; 2], v: [f32; 2], decay: [f32; 2], beta: [f32; 2]| {
            let mut out = [0.0; 2];
            gated_delta(&shape, [&q, &k, &v, &decay, &beta], &mut state, &mut out);
            out
        };
        let half = -std::f32::consts::LN_2;
        assert_eq!(
            token([1.0, 0.0], [1.0, 0.0], [8.0, 6.0], [0.0; 2], [1.0, 0.5]),
            [8.0, 3.0]
        );
        // Another key: the first value is still there, but for what the second head forgets.
        assert_eq!(
            token([1.0, 0.0], [0.0, 1.0], [5.0, 5.0], [0.0, half], [1.0; 2]),
            [8.0, 1.5]
        );
        // The same key again replaces the value, half of the way where beta is a half.
        assert_eq!(
            token([1.0, 0.0], [1.0, 0.0], [2.0, 2.5], [0.0; 2], [1.0, 0.5]),
            [2.0, 2.0]
        );
        assert_eq!(
            token([0.0, 1.0], [0.0, 1.0], [9.0, 9.0], [0.0; 2], [0.0; 2]),
            [5.0, 5.0]
        );
    }
}
