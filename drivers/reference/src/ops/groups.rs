//! Parts of rows, and rows of parts.

/// Of each group of `group` numbers those from `start` on, as many as fill `out`.
pub(crate) fn slice(x: &[f32], group: usize, start: usize, out: &mut [f32]) {
    let width = out.len() / (x.len() / group);
    for (x, out) in x.chunks_exact(group).zip(out.chunks_exact_mut(width)) {
        out.copy_from_slice(&x[start..start + width]);
    }
}

/// Group by group a's numbers, then b's; all of b's after each group when it is repeated.
pub(crate) fn concat(a: &[f32], b: &[f32], groups: usize, broadcast: bool, out: &mut [f32]) {
    let width = a.len() / groups;
    let of_b = if broadcast { b.len() } else { b.len() / groups };
    for (group, out) in out.chunks_exact_mut(width + of_b).enumerate() {
        let from = if broadcast { 0 } else { group * of_b };
        out[..width].copy_from_slice(&a[group * width..][..width]);
        out[width..].copy_from_slice(&b[from..from + of_b]);
    }
}

#[cfg(test)]
mod tests {
    use super::{concat, slice};

    #[test]
    fn slices_take_the_same_part_of_each_group() {
        let mut out = [0.0; 4];
        slice(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], 3, 1, &mut out);
        assert_eq!(out, [1.0, 2.0, 4.0, 5.0]);
    }

    #[test]
    fn concatenation_goes_group_by_group() {
        let mut out = [0.0; 6];
        concat(&[0.0, 1.0, 2.0, 3.0], &[8.0, 9.0], 2, false, &mut out);
        assert_eq!(out, [0.0, 1.0, 8.0, 2.0, 3.0, 9.0]);
        concat(&[0.0, 1.0], &[8.0, 9.0], 2, true, &mut out);
        assert_eq!(out, [0.0, 8.0, 9.0, 1.0, 8.0, 9.0]);
    }
}
