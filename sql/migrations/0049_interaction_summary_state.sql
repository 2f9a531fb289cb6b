-- Reading one customer costs what the columns it reads cost, and whoever reads summaries needs all counts. 32 customers in
-- six parts took 38 ms of CPU, with the counts in one column 22 ms. The keys stay out: they pack well by themselves, and so
-- writing costs little more. Parts written before work it out when they are read, until a merge rewrites them.
ALTER TABLE interaction_summary_state ADD COLUMN packed String MATERIALIZED toJSONString((
    applied_offset,
    toUnixTimestamp64Milli(stored_at),
    impressions,
    positive,
    negative,
    neutral,
    converts,
    toString(total_value),
    toUnixTimestamp64Milli(last_contact_at),
    toString(last_outcome),
    toString(last_direction)
)) COMMENT 'All that is no key once more, as a JSON array: for reading single customers'
