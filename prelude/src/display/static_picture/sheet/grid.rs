//! The cells of `layout.grid`, in which subplots stand.

use crate::display::static_picture::axis::Axis;
use serde_json::Value;

/// The domain that `layout.grid` gives to an axis: cells are numbered along rows, from the top.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
pub(super) fn grid_domain(grid: &Value, axis: &Axis) -> Option<(f64, f64)> {
    let rows = grid["rows"].as_u64()?.clamp(1, 100);
    let columns = grid["columns"].as_u64()?.clamp(1, 100);
    let number = axis.id[1..].parse::<u64>().unwrap_or(1).max(1) - 1;
    let independent = grid["pattern"] == "independent";
    let (index, count, gap_name, gap) = match (axis.is_x(), independent) {
        (true, true) => (number % columns, columns, "xgap", 0.2),
        (true, false) => (number, columns, "xgap", 0.1),
        (false, true) => (number / columns, rows, "ygap", 0.3),
        (false, false) => (number, rows, "ygap", 0.1),
    };
    if index >= count {
        return None;
    }
    let from_top = !axis.is_x() && grid["roworder"] != "bottom to top";
    let index = if from_top { count - 1 - index } else { index };
    let gap = grid[gap_name].as_f64().unwrap_or(gap).clamp(0.0, 0.9);
    let step = 1.0 / (count as f64 - gap);
    let start = step * index as f64;
    Some((start, start + step * (1.0 - gap)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_grid_numbers_its_cells_along_rows_from_the_top() {
        let grid = json!({"rows": 2, "columns": 2, "pattern": "independent", "xgap": 0, "ygap": 0});
        let axis = |id: &str| Axis::new(id, &Value::Null, &[]);
        assert_eq!(grid_domain(&grid, &axis("x")), Some((0.0, 0.5)));
        assert_eq!(grid_domain(&grid, &axis("y")), Some((0.5, 1.0)));
        assert_eq!(grid_domain(&grid, &axis("x4")), Some((0.5, 1.0)));
        assert_eq!(grid_domain(&grid, &axis("y4")), Some((0.0, 0.5)));
        assert_eq!(grid_domain(&json!({}), &axis("x")), None);
    }
}
