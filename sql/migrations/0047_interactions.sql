-- As for summaries: a customer's history lies in few granules, and whoever reads it should unpack those alone.
ALTER TABLE interactions MODIFY SETTING min_compress_block_size = 1024
