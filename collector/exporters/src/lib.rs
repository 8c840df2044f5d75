//! What we read ourselves and expose under the field's usual metric names.
