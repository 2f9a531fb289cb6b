-- Creates the database that the migrations fill.
CREATE DATABASE IF NOT EXISTS {database:Identifier}
