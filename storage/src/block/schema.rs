//! The columns of a block and how each is encoded.
//!
//! Place in the flow: writer and reader agree here. docs/format/block.md says the same for people
//! and other programs.
//!
//! Not here: the values (`writer`, `reader`).

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::TypePtr;

/// The ordinal of the series in the block.
pub const SID: usize = 0;
/// The instant.
pub const TS: usize = 1;
/// The decimal mantissa.
pub const V_INT: usize = 2;
/// The digits after the point.
pub const V_EXP: usize = 3;
/// A value that is no decimal.
pub const V_FLOAT: usize = 4;
/// What else is to be said of the row.
pub const FLAGS: usize = 5;

/// The row is a stale marker.
pub const FLAG_STALE: i32 = 1;

/// Who wrote a file, as its footer says.
pub const CREATED_BY: &str = "belfry";

/// Rows of a page at most: 64 KiB as instants and values.
pub const PAGE_ROWS: usize = 4 * 1024;
/// Rows of a page of instants at most when all its series are regular: nobody needs it to read them.
pub const REGULAR_PAGE_ROWS: usize = 64 * 1024;
/// Rows after which a page of floats ends inside of a series of nothing else.
pub const FLOAT_PAGE_ROWS: usize = 2 * 1024;
/// Rows after which a page of whole numbers ends inside of a series of nothing else.
pub const WHOLE_PAGE_ROWS: usize = 4 * 1024;
/// Rows after which a row group ends, at the next series boundary.
pub const ROW_GROUP_ROWS: usize = 256 * 1024;

const SAMPLES: &str = "message samples {
    required int32 sid (INTEGER(32,false));
    required int64 ts (TIMESTAMP(MILLIS,true));
    optional int64 v_int;
    required int32 v_exp (INTEGER(8,true));
    optional double v_float;
    required int32 flags (INTEGER(8,false));
}";

/// The schema of `samples.parquet`.
pub fn samples() -> TypePtr {
    Arc::new(parse_message_type(SAMPLES).expect("the schema is a constant"))
}

fn zstd(level: i32) -> Compression {
    Compression::ZSTD(ZstdLevel::try_new(level).expect("zstd knows levels 1 to 22"))
}

fn common() -> WriterPropertiesBuilder {
    WriterProperties::builder().set_created_by(CREATED_BY.to_owned())
}

/// What holds for `samples.parquet` as a whole; its chunks come encoded (`columns`).
pub fn samples_properties() -> WriterProperties {
    common().set_statistics_enabled(EnabledStatistics::Page).build()
}

/// Encodings of `series.parquet`. Numbers that all differ stand as differences.
pub fn series_properties() -> WriterProperties {
    let mut own =
        common().set_compression(zstd(3)).set_statistics_enabled(EnabledStatistics::Chunk);
    for column in ["sid", "series_id", "first_row"] {
        own = own
            .set_column_dictionary_enabled(column.into(), false)
            .set_column_encoding(column.into(), Encoding::DELTA_BINARY_PACKED);
    }
    own.build()
}

/// The columns of `series.parquet`.
pub fn series() -> SchemaRef {
    let instant = || DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    let label = Fields::from(vec![
        Field::new("keys", DataType::Utf8, false),
        Field::new("values", DataType::Utf8, true),
    ]);
    let entries = Arc::new(Field::new("entries", DataType::Struct(label), false));
    Arc::new(Schema::new(vec![
        Field::new("sid", DataType::UInt32, false),
        Field::new("series_id", DataType::UInt64, false),
        Field::new("name", DataType::Utf8, false),
        Field::new("labels", DataType::Map(entries, false), false),
        Field::new("job", DataType::Utf8, true),
        Field::new("instance", DataType::Utf8, true),
        Field::new("type", DataType::Utf8, true),
        Field::new("unit", DataType::Utf8, true),
        Field::new("help", DataType::Utf8, true),
        Field::new("min_ts", instant(), false),
        Field::new("max_ts", instant(), false),
        Field::new("rows", DataType::UInt64, false),
        Field::new("first_row", DataType::UInt64, false),
        Field::new("row_group", DataType::UInt32, false),
        Field::new("step_ms", DataType::Int64, true),
    ]))
}
