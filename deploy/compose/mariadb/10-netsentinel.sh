# shellcheck shell=bash
# Sourced by the mariadb image when it makes the database: a user with the rights that the
# aggregator needs and no others, who must come over TLS.
docker_process_sql --database=mysql <<SQL
CREATE USER netsentinel@'%' IDENTIFIED BY '$(cat /run/secrets/mariadb-user)' REQUIRE SSL;
GRANT CREATE, ALTER, INDEX, DROP, CREATE VIEW, TRIGGER, SELECT, INSERT, UPDATE, DELETE
  ON netsentinel.* TO netsentinel@'%';
SQL
