-- Deletes every version of the summary rows of some customers' first blocks. Every version, because an older one would
-- count again once a newer one is gone; by hash, because the text of a deletion is stored.
ALTER TABLE interaction_summary_state
DELETE WHERE block > 0 AND block <= transform(
    hex(sipHash128(tenant_id, customer_id, toString(source))),
    {customer_hashes:Array(String)},
    {until_blocks:Array(UInt32)},
    toUInt32(0)
)
SETTINGS mutations_sync = 2
