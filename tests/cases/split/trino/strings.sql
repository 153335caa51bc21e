SELECT U&'\0041;\+00003B'; SELECT U&'a!;b' UESCAPE '!'; SELECT X'3B;'; SELECT 'a\'; SELECT 'b''c;d';
SELECT "e"";f", `g``;h` FROM "i;j"; SELECT 1 AS "k
;l";
