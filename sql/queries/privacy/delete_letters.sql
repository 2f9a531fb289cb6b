-- Deletes dead letters by their ids.
ALTER TABLE dead_letter_state
DELETE WHERE tenant_id IN ({tenant_id:String}, '') AND id IN {ids:Array(String)}
SETTINGS mutations_sync = 2
