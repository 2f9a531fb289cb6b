-- Deletes dead letters by their ids.
ALTER TABLE dead_letters
DELETE WHERE tenant_id IN ({tenant_id:String}, '') AND id IN {ids:Array(String)}
SETTINGS mutations_sync = 2
