//! The functions that clients ask their server about itself with.
//!
//! Place in the flow: psql and Grafana ask for the version and for settings before anything else →
//! **here**. They get what a PostgreSQL of the wire protocol's version would say.
//!
//! Not here: settings of a connection (`wire`).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};

/// The version of PostgreSQL whose catalog and protocol are spoken.
pub const SERVER_VERSION: &str = "16.6";

/// Settings by name.
const SETTINGS: [(&str, &str); 11] = [
    ("server_version", SERVER_VERSION),
    ("server_version_num", "160006"),
    ("server_encoding", "UTF8"),
    ("client_encoding", "UTF8"),
    ("search_path", "public"),
    ("timezone", "UTC"),
    ("datestyle", "ISO, YMD"),
    ("standard_conforming_strings", "on"),
    ("default_transaction_read_only", "on"),
    ("transaction_read_only", "on"),
    ("max_identifier_length", "63"),
];

/// A setting's value.
pub fn setting(name: &str) -> Option<&'static str> {
    let is_it = |(own, _): &&(&str, &str)| own.eq_ignore_ascii_case(name);
    SETTINGS.iter().find(is_it).map(|(_, value)| *value)
}

/// All functions.
pub fn all() -> Vec<ScalarUDF> {
    vec![ScalarUDF::new_from_impl(Version::new()), ScalarUDF::new_from_impl(CurrentSetting::new())]
}

/// `version()`
#[derive(Debug, PartialEq, Eq, Hash)]
struct Version {
    signature: Signature,
}

impl Version {
    fn new() -> Version {
        Version { signature: Signature::nullary(Volatility::Stable) }
    }
}

impl ScalarUDFImpl for Version {
    fn name(&self) -> &str {
        "version"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let text = format!("PostgreSQL {SERVER_VERSION} (Belfry)");
        Ok(ColumnarValue::Scalar(text.into()))
    }
}

/// `current_setting(name [, missing_ok])`
#[derive(Debug, PartialEq, Eq, Hash)]
struct CurrentSetting {
    signature: Signature,
}

impl CurrentSetting {
    fn new() -> CurrentSetting {
        let forms = vec![
            TypeSignature::Exact(vec![DataType::Utf8]),
            TypeSignature::Exact(vec![DataType::Utf8, DataType::Boolean]),
        ];
        CurrentSetting { signature: Signature::one_of(forms, Volatility::Stable) }
    }
}

impl ScalarUDFImpl for CurrentSetting {
    fn name(&self) -> &str {
        "current_setting"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let names = arrays[0].as_string::<i32>();
        let mut values = Vec::with_capacity(names.len());
        for (row, name) in names.iter().enumerate() {
            let value = name.and_then(setting);
            let may_miss = arrays.get(1).is_some_and(|own| own.as_boolean().value(row));
            match name {
                Some(name) if value.is_none() && !may_miss => {
                    return exec_err!("unrecognized configuration parameter \"{name}\"");
                }
                _ => values.push(value),
            }
        }
        Ok(ColumnarValue::Array(Arc::new(StringArray::from(values)) as ArrayRef))
    }
}
