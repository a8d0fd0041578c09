//! What to write where candle's message says only what was wrong.
//!
//! Errors pass through a cell as values of any type that has a message, so the message is what is read here. The
//! tests take each from candle itself.

/// A message and, where it is one of candle's that is known, the next step behind it.
pub(crate) fn with_next_step(message: String) -> String {
    let (first, rest) = match message.split_once('\n') {
        Some((first, rest)) => (first, format!("\n{rest}")),
        None => (message.as_str(), String::new()),
    };
    match next_step(first) {
        Some(step) => format!("{first}; {step}{rest}"),
        None => message,
    }
}

fn next_step(message: &str) -> Option<String> {
    if let Some([op, lhs, rhs]) = parts(message, ["shape mismatch in ", ", lhs: ", ", rhs: "]) {
        let (left, right) = (shape(lhs)?, shape(rhs)?);
        return match op {
            "matmul" => product(&left, &right),
            "add" | "sub" | "mul" | "div" | "maximum" | "minimum" if fit(&left, &right) => Some(
                format!("`a.broadcast_{op}(&b)?` spreads one over the other"),
            ),
            "cmp" if fit(&left, &right) => {
                Some("`a.broadcast_gt(&b)?` and its like spread one over the other".to_owned())
            }
            _ => (op != "gather").then(|| {
                "sizes are compared from the last, and those that differ must be 1: `unsqueeze`, `reshape` and \
                 `transpose` bring them there"
                    .to_owned()
            }),
        };
    }
    if let Some([_, lhs, _]) = parts(message, ["dtype mismatch in ", ", lhs: ", ", rhs: "]) {
        return Some(format!(
            "`b.to_dtype(DType::{})?` makes them one type",
            lhs.trim()
        ));
    }
    if let Some([expected, got]) = parts(message, ["unexpected dtype, expected: ", ", got: "]) {
        return Some(format!(
            "read it as it is, `::<{}>`, or make it another with `t.to_dtype(DType::{expected})?`",
            got.trim().to_lowercase()
        ));
    }
    if let Some([expected, got, dims]) =
        parts(message, ["unexpected rank, expected: ", ", got: ", " ("])
    {
        return rank(
            expected.parse().ok()?,
            got.parse().ok()?,
            &shape(dims.strip_suffix(')')?)?,
        );
    }
    if let Some([_, dims]) = parts(message, [": dimension index ", " out of range for shape "]) {
        let last = shape(dims)?.len().checked_sub(1)?;
        return Some(format!(
            "its dimensions are 0 to {last}, and `D::Minus1` is the last"
        ));
    }
    if let Some([_, dims, dim, _]) = parts(
        message,
        ["narrow invalid args ", ": ", ", dim: ", ", start: "],
    ) {
        let size = *shape(dims)?.get(dim.parse::<usize>().ok()?)?;
        let last = size.checked_sub(1)?;
        return Some(format!(
            "the indices there are 0 to {last}, and `t.at(..)` counts from the end with negative ones"
        ));
    }
    if let Some([size, dims]) = parts(
        message,
        ["got buffer of size ", " which is compatible with shape "],
    ) {
        let wanted: usize = shape(dims)?.iter().product();
        return Some(format!(
            "that shape has {wanted} numbers and not {size}; `()` in place of a size stands for what is left"
        ));
    }
    if let Some([_, op]) = parts(message, ["unsupported dtype ", " for op "]) {
        return match op.trim() {
            "index-select" | "gather" | "scatter" | "scatter-add" | "index-add" | "embedding" => {
                Some("indices are whole numbers: `ids.to_dtype(DType::U32)?`".to_owned())
            }
            "where-cond" => Some(
                "a mask is what a comparison gives, `t.gt(0.)?`, or whole numbers: \
                 `mask.to_dtype(DType::U8)?`"
                    .to_owned(),
            ),
            _ => Some("`t.to_dtype(DType::F32)?` makes it another".to_owned()),
        };
    }
    if let Some([dim, _, _]) = parts(
        message,
        [
            "shape mismatch in cat for dim ",
            ", shape for arg 1: ",
            " shape for arg ",
        ],
    ) {
        return Some(format!(
            "tensors are joined where all other sizes are equal, and size {dim} differs"
        ));
    }
    if let Some([_, size]) = parts(message, [" invalid index ", " with dim size "]) {
        let last = size.trim().parse::<usize>().ok()?.checked_sub(1)?;
        return Some(format!("indices there are 0 to {last}"));
    }
    if message.contains("has not been built with cuda support")
        || message.contains("has not been built with metal support")
    {
        return Some(
            "`Device::best()` is the fastest device of this installation, and `./install.sh --features cuda` \
             (or `metal`) builds one for the card"
                .to_owned(),
        );
    }
    if message.ends_with(" only supports contiguous tensors")
        || message.starts_with("matmul is only supported for contiguous tensors")
    {
        return Some("`t.contiguous()?` puts the numbers in order".to_owned());
    }
    if message.starts_with("not yet implemented: no unary function for ") {
        return Some(
            "that is calculated with numbers that have a point: `t.to_dtype(DType::F32)?`"
                .to_owned(),
        );
    }
    None
}

/// What stands behind each of these words, up to the next of them or the end.
fn parts<'a, const N: usize>(message: &'a str, words: [&str; N]) -> Option<[&'a str; N]> {
    let mut rest = message;
    let mut found = [""; N];
    for (at, word) in words.iter().enumerate() {
        let (before, behind) = rest.split_once(word)?;
        if let Some(last) = at.checked_sub(1) {
            found[last] = before;
        }
        rest = behind;
    }
    *found.last_mut()? = rest;
    Some(found)
}

fn shape(text: &str) -> Option<Vec<usize>> {
    let inside = text.trim().strip_prefix('[')?.strip_suffix(']')?;
    if inside.is_empty() {
        return Some(Vec::new());
    }
    let sizes = inside.split(',').map(|size| size.trim().parse().ok());
    sizes.collect()
}

/// Whether one of two shapes can be spread over the other.
fn fit(left: &[usize], right: &[usize]) -> bool {
    let mut pairs = left.iter().rev().zip(right.iter().rev());
    pairs.all(|(left, right)| left == right || *left == 1 || *right == 1)
}

/// Of the product of two matrices, or of batches of them.
fn product(left: &[usize], right: &[usize]) -> Option<String> {
    let ([before_left @ .., rows, columns], [before_right @ .., inner, _]) = (left, right) else {
        return Some(match (left.len(), right.len()) {
            (1, _) => "a vector is a matrix of one row: `a.unsqueeze(0)?`".to_owned(),
            (_, 1) => "a vector is a matrix of one column: `b.unsqueeze(1)?`".to_owned(),
            _ => return None,
        });
    };
    if columns == inner {
        return fit(before_left, before_right)
            .then(|| "`a.broadcast_matmul(&b)?` takes one matrix for a whole batch".to_owned());
    }
    let mut step =
        format!("the left has {columns} columns and the right {inner} rows, which must be as many");
    if rows == inner {
        step.push_str("; `a.transpose(D::Minus2, D::Minus1)?` exchanges rows and columns");
    } else if right.last() == Some(columns) {
        step.push_str("; `b.transpose(D::Minus2, D::Minus1)?` exchanges rows and columns");
    }
    Some(step)
}

/// Of a tensor with more or fewer dimensions than were asked for.
fn rank(expected: usize, got: usize, dims: &[usize]) -> Option<String> {
    if got < expected {
        return Some("`t.unsqueeze(0)?` adds a dimension".to_owned());
    }
    let ones = |n: usize| vec!["0"; n].join(", ");
    Some(match (expected, dims.iter().product::<usize>()) {
        (0, 1) => "its one number is in `t.squeeze(0)?`, once for each dimension".to_owned(),
        (0, _) if got == 1 => "one number of it is `t.at(0)?`, all are `t.to_vec1::<f32>()?`".to_owned(),
        (0, _) => format!(
            "one number of it is `t.at(({}))?`; `t.mean_all()?` makes one of all",
            ones(got)
        ),
        (1, _) => "a row of it is `t.at(0)?` (for each dimension too many), and `t.flatten_all()?` puts all in one"
            .to_owned(),
        _ => "`t.at(0)?` leaves out its first dimension".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{D, DType, Device, IndexOp, Result, Tensor};

    struct Made {
        a: Tensor,
        b: Tensor,
        n: Tensor,
        c: Tensor,
    }

    fn made() -> Result<Made> {
        let cpu = &Device::Cpu;
        Ok(Made {
            a: Tensor::new(&[[1f32, 2.], [3., 4.]], cpu)?,
            b: Tensor::new(&[1f32, 2.], cpu)?,
            n: Tensor::new(&[1u32, 2], cpu)?,
            c: Tensor::zeros((3, 4), DType::F32, cpu)?,
        })
    }

    /// The messages are candle's own: where it words one anew, this fails.
    #[test]
    fn candles_errors_end_with_the_next_step() {
        let Made { a, b, n, c } = made().unwrap();
        let wide = Tensor::zeros((2, 5), DType::F32, &Device::Cpu).unwrap();
        let batch = Tensor::zeros((3, 2, 2), DType::F32, &Device::Cpu).unwrap();
        let cases: Vec<(Result<Tensor>, &str)> = vec![
            (&a + &b, "`a.broadcast_add(&b)?` spreads"),
            (&a - &c, "those that differ must be 1"),
            (a.gt(&b), "`a.broadcast_gt(&b)?`"),
            (a.broadcast_add(&c), "those that differ must be 1"),
            (a.matmul(&b), "`b.unsqueeze(1)?`"),
            (b.matmul(&a), "`a.unsqueeze(0)?`"),
            (a.matmul(&c), "the left has 2 columns and the right 3 rows"),
            (wide.matmul(&a), "`a.transpose(D::Minus2, D::Minus1)?`"),
            (batch.matmul(&a), "`a.broadcast_matmul(&b)?`"),
            (&b * &n, "`b.to_dtype(DType::F32)?`"),
            (a.sum(2), "0 to 1, and `D::Minus1`"),
            (a.transpose(0, 3), "0 to 1, and `D::Minus1`"),
            (a.i((0, 5)), "the indices there are 0 to 1"),
            (a.narrow(1, 1, 5), "the indices there are 0 to 1"),
            (a.reshape((3, 3)), "has 9 numbers and not 4"),
            (a.index_select(&b, 0), "`ids.to_dtype(DType::U32)?`"),
            (a.where_cond(&a, &a), "`t.gt(0.)?`"),
            (Tensor::cat(&[&a, &c], 0), "size 1 differs"),
            (a.embedding(&n), "indices there are 0 to 1"),
            (n.to_vec1::<f32>().map(|_| n.clone()), "`::<u32>`"),
            (a.to_vec1::<f32>().map(|_| n.clone()), "`t.flatten_all()?`"),
            (a.to_vec3::<f32>().map(|_| n.clone()), "`t.unsqueeze(0)?`"),
            (a.to_scalar::<f32>().map(|_| n.clone()), "`t.at((0, 0))?`"),
            (b.to_scalar::<f32>().map(|_| n.clone()), "`t.at(0)?`"),
        ];
        for (result, expected) in cases {
            let message = result.unwrap_err().to_string();
            let said = with_next_step(message.clone());
            // Behind the first line stands a backtrace, where one is asked for.
            let first = message.lines().next().unwrap();
            assert!(said.starts_with(&format!("{first}; ")), "{said}");
            assert!(said.contains(expected), "{said}");
        }
    }

    /// What the sentences suggest does what they say.
    #[test]
    fn the_next_steps_work() {
        let Made { a, b, n, c } = made().unwrap();
        let steps = || -> Result<()> {
            a.broadcast_add(&b)?;
            a.matmul(&b.unsqueeze(1)?)?;
            b.unsqueeze(0)?.matmul(&a)?;
            c.transpose(D::Minus2, D::Minus1)?.matmul(&c)?;
            a.reshape((4, ()))?;
            a.index_select(&b.sub(&b)?.to_dtype(DType::U32)?, 0)?;
            a.gt(0.)?.where_cond(&a, &a)?;
            n.to_dtype(DType::F32)?.exp()?;
            a.flatten_all()?.to_vec1::<f32>()?;
            Ok(())
        };
        steps().unwrap();
    }

    #[test]
    fn other_messages_stay_as_they_are() {
        for message in [
            "",
            "shape mismatch in add",
            "no hook point is called `x`.",
            "shape mismatch in add, lhs: [2, x], rhs: [2]",
            "unexpected rank, expected: 1, got: 2",
        ] {
            assert_eq!(with_next_step(message.to_owned()), message);
        }
        let two = "the candle crate has not been built with cuda support\n   0: frame".to_owned();
        let said = with_next_step(two);
        assert!(said.contains("`Device::best()`"), "{said}");
        assert!(said.ends_with("\n   0: frame"), "{said}");
    }
}
