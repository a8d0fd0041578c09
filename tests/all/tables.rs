//! What notebooks do with polars works with the features that the prelude has chosen.

use ferrolens::polars::prelude::*;

fn losses() -> DataFrame {
    df!("layer" => [0, 0, 1], "head" => ["a", "b", "a"], "nats" => [1.5, 2.5, 0.25]).unwrap()
}

#[test]
fn a_table_goes_to_a_csv_file_and_back() {
    let mut table = losses();
    let mut file = tempfile::tempfile().unwrap();
    CsvWriter::new(&mut file).finish(&mut table).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let back = CsvReader::new(file).finish().unwrap();
    assert_eq!(back.column("nats").unwrap(), table.column("nats").unwrap());
    assert_eq!(back.column("head").unwrap(), table.column("head").unwrap());
}

#[test]
fn a_lazy_table_is_filtered_grouped_joined_and_sorted() {
    let means = losses()
        .lazy()
        .filter(col("nats").gt(lit(0.3)))
        .group_by([col("layer")])
        .agg([col("nats").mean().alias("mean"), len().alias("count")]);
    let joined = losses()
        .lazy()
        .join(
            means,
            [col("layer")],
            [col("layer")],
            JoinArgs::new(JoinType::Left),
        )
        .with_column((col("nats") - col("mean")).alias("over"))
        .sort(
            ["nats"],
            SortMultipleOptions::default().with_order_descending(true),
        )
        .collect()
        .unwrap();
    let over: Vec<Option<f64>> = joined.column("over").unwrap().f64().unwrap().to_vec();
    assert_eq!(over, [Some(0.5), Some(-0.5), None]);
}
