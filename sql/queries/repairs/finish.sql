-- Marks one repair of one source as done.
INSERT INTO summary_repairs (repair_id, source, tenant_id, customer_id, is_done)
SELECT repair_id, source, tenant_id, customer_id, 1
FROM summary_repairs FINAL
WHERE repair_id = {repair_id:String} AND source = {source:String} AND is_done = 0
