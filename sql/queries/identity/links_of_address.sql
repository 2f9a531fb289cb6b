-- The row is the customer to whom an address was linked last, in whatever spelling.
SELECT customer_ids[2] AS customer_id
FROM identity_links
WHERE tenant_id = {tenant_id:String}
    AND identifier_type = {identifier_type:String}
    AND lowerUTF8(customer_ids[1]) = {address:String}
ORDER BY stored_at DESC
LIMIT 1
