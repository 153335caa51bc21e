SELECT U&'d\0061t;' , U&"d\0061t;a", u&'\';
SELECT U&'!3b;' UESCAPE '!';
SELECT B'1;', X'1F;', N'n;';
