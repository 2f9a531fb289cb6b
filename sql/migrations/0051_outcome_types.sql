-- Taking value back has to be allowed: a minus in front of any other value is a producer's mistake.
ALTER TABLE outcome_types ADD COLUMN allows_negative_value Bool DEFAULT false
    COMMENT 'Whether its events may carry a negative conversion_value: refunds and the like' AFTER is_conversion
