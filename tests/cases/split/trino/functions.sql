CREATE FUNCTION f(x int) RETURNS int BEGIN DECLARE a int; SET a = CASE WHEN x > 1 THEN 2 ELSE 3 END; IF x = 1 THEN RETURN 1; END IF; WHILE x > 1 DO SET x = x - 1; END WHILE; CASE x WHEN 1 THEN RETURN 1; END CASE; RETURN a; END; SELECT 1;
WITH FUNCTION g(x int) RETURNS int BEGIN RETURN x; END, FUNCTION h(x int) RETURNS int RETURN x SELECT g(1); SELECT 2;
create or replace function p(x int) returns int language python with (handler = 'p') as $$
def p(x):
  return x; 
$$; select 3;
EXPLAIN WITH FUNCTION g(x int) RETURNS int BEGIN RETURN x; END SELECT g(1); SELECT 5;
CREATE FUNCTION l(x int) RETURNS int top: LOOP SET x = 1; LEAVE top; END LOOP; SELECT 6;
CREATE FUNCTION l(x int) RETURNS int IF x = 1 THEN RETURN 2; ELSE RETURN 3; END IF; SELECT 7;
CREATE FUNCTION l(x int) RETURNS int CASE x WHEN 1 THEN RETURN 2; END CASE; SELECT 7;
CREATE FUNCTION m(x int) RETURNS int REPEAT SET x = 1; UNTIL x = 1 END REPEAT; SELECT 8;
create table t as with function g() returns int begin return 1; end select g(); select 9;
insert into t with function g() returns int begin return 1; end select g(); select 10;
create view v as with function g() returns int begin return 1; end select g(); select 11;
prepare p from with function g() returns int begin return 1; end select g(); select 12;
