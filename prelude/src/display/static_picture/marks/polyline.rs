//! The corners of a drawn line.

/// The longest line, in points; a longer one keeps the extremes of every stretch.
const LONGEST_LINE: usize = 4000;

/// The lowest and the highest point of every stretch of a long line, in their order.
pub(super) fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= LONGEST_LINE {
        return points.to_vec();
    }
    let stretch = (2 * points.len()).div_ceil(LONGEST_LINE);
    let mut kept = Vec::with_capacity(LONGEST_LINE);
    for piece in points.chunks(stretch) {
        let order = |a: &usize, b: &usize| piece[*a].1.total_cmp(&piece[*b].1);
        let lowest = (0..piece.len()).min_by(order).unwrap_or(0);
        let highest = (0..piece.len()).max_by(order).unwrap_or(0);
        kept.push(piece[lowest.min(highest)]);
        if lowest != highest {
            kept.push(piece[lowest.max(highest)]);
        }
    }
    kept
}

/// The corners of a stepped line.
pub(super) fn stepped(points: &[(f64, f64)], shape: &str) -> Vec<(f64, f64)> {
    if !matches!(shape, "hv" | "vh" | "hvh" | "vhv") {
        return points.to_vec();
    }
    let mut corners: Vec<(f64, f64)> = points.first().copied().into_iter().collect();
    for pair in points.windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        match shape {
            "hv" => corners.push((x1, y0)),
            "vh" => corners.push((x0, y1)),
            "hvh" => corners.extend([((x0 + x1) / 2.0, y0), ((x0 + x1) / 2.0, y1)]),
            _ => corners.extend([(x0, (y0 + y1) / 2.0), (x1, (y0 + y1) / 2.0)]),
        }
        corners.push((x1, y1));
    }
    corners
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_keep_their_extremes() {
        let mut points: Vec<(f64, f64)> = (0..100_000).map(|i| (f64::from(i), 0.0)).collect();
        points[51_234].1 = 7.0;
        let kept = thinned(&points);
        assert!(kept.len() <= LONGEST_LINE + 2);
        assert!(kept.contains(&(51_234.0, 7.0)));
        assert_eq!(thinned(&points[..3]), &points[..3]);
    }

    #[test]
    fn steps_have_corners() {
        let points = [(0.0, 0.0), (2.0, 4.0)];
        assert_eq!(stepped(&points, "linear"), points);
        assert_eq!(stepped(&points, "hv"), [(0.0, 0.0), (2.0, 0.0), (2.0, 4.0)]);
        assert_eq!(stepped(&points, "hvh")[1..3], [(1.0, 0.0), (1.0, 4.0)]);
    }
}
