-- What the column holds since values may be taken back.
ALTER TABLE interaction_summaries COMMENT COLUMN total_value
    'Sum of conversion_value over positive outcomes, and of negative values'
