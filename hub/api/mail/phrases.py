"""Words by which mail programs mark quotes, forwards and signatures, in the languages we read.

Data only. Lower case; matched against lower-cased lines.
"""

# "On 3 April, Jane wrote:"  -- verbs that say somebody wrote
WROTE = (
    "wrote", "writes", "schrieb", "hat geschrieben", "geschrieben", "a écrit", "a ecrit", "escribió", "escribio",
    "ha scritto", "scrive", "schreef", "heeft geschreven", "escreveu", "skrev", "skriver", "napisał(a)", "napisał",
    "napisała", "pisze", "kirjoitti", "napsal(a)", "napsal", "napísal", "írta", "a scris", "yazdı", "написал",
    "написала", "написал(а)", "пише", "пишет", "写道", "寫道", "さんは書きました", "님이 작성",
)  # fmt: skip

# first words of such a line; a digit or a week day may stand there too
ON = (
    "on ", "am ", "le ", "el ", "il ", "em ", "op ", "den ", "på ", "dnia ", "w dniu ", "em ", "în ", "dne ", "ma ",
    "в ", "在 ", "vào ", "lørdag", "søndag", "segunda", "sexta",
)  # fmt: skip
DAYS = (
    "mon", "tue", "wed", "thu", "fri", "sat", "sun", "mo", "di", "mi", "do", "fr", "sa", "so", "lun", "mar", "mer",
    "mié", "jeu", "jue", "ven", "vie", "sam", "sáb", "dim", "dom", "gio", "sab", "seg", "ter", "qua", "qui", "sex",
    "ma", "wo", "vr", "za", "zo", "mån", "tis", "ons", "tors", "tor", "fre", "lör", "lør", "sön", "søn", "man",
    "tir", "pon", "wt", "śr", "czw", "pt", "sob", "niedz",
)  # fmt: skip

# "-----Original Message-----"
ORIGINAL = (
    "original message", "original appointment", "reply message", "ursprüngliche nachricht",
    "ursprungliche nachricht", "originalnachricht", "original-nachricht", "message d'origine",
    "message d’origine", "message original", "message initial", "mensaje original", "messaggio originale",
    "oorspronkelijk bericht", "origineel bericht", "mensagem original", "ursprungligt meddelande",
    "originalmeddelande", "oprindelig meddelelse", "original besked", "opprinnelig melding",
    "wiadomość oryginalna", "oryginalna wiadomość", "wiadomość pierwotna", "alkuperäinen viesti",
    "původní zpráva", "исходное сообщение", "оригинальное сообщение", "原始邮件", "原始郵件", "原邮件",
    "元のメッセージ",
)  # fmt: skip

# a forwarded message follows: content, not a quote
FORWARDED = (
    "forwarded message", "begin forwarded message", "forwarded by", "weitergeleitete nachricht",
    "anfang der weitergeleiteten", "weitergeleitet von", "message transféré", "message transmis",
    "début du message", "mensaje reenviado", "inicio del mensaje reenviado", "messaggio inoltrato",
    "inizio messaggio inoltrato", "doorgestuurd bericht", "begin doorgestuurd bericht", "mensagem encaminhada",
    "mensagem reencaminhada", "início da mensagem", "vidarebefordrat meddelande", "vidarebefordrat brev",
    "videresendt meddelelse", "videresendt besked", "videresendt melding", "przekazana wiadomość",
    "wiadomość przekazana", "treść przekazanej wiadomości", "edelleenlähetetty viesti",
    "пересланное сообщение", "перенаправленное сообщение", "转发邮件", "轉寄郵件",
)  # fmt: skip

# keys of a header block in a body, as "From: ..."
FROM = (
    "from", "von", "de", "da", "van", "från", "fra", "od", "lähettäjä", "от", "від", "gönderen", "发件人", "寄件者",
    "差出人",
)  # fmt: skip
OTHER = (
    "sent", "to", "date", "subject", "cc", "bcc", "reply-to", "reply to", "importance", "attachments",
    "gesendet", "datum", "an", "betreff", "kopie", "antwort an", "antwort", "wichtigkeit", "envoyé", "à", "a",
    "objet", "date d'envoi", "répondre à", "envoyé le", "pièces jointes", "enviado", "enviado el", "para",
    "asunto", "fecha", "responder a", "inviato", "data", "oggetto", "risposta", "rispondi a", "verzonden", "aan",
    "onderwerp", "verzonden op", "enviada em", "enviada", "enviado em", "assunto", "responder para", "skickat",
    "till", "ämne", "kopia", "dato", "sendt", "til", "emne", "svar til", "wysłano", "wysłane", "do", "temat", "dw",
    "data wysłania", "lähetetty", "vastaanottaja", "aihe", "дата", "кому", "тема", "отправлено", "копия", "发送时间",
    "收件人", "主题", "抄送", "日期", "寄件日期", "收件者", "主旨", "件名", "宛先", "送信日時",
)  # fmt: skip

# one line a phone or a mail program adds
SENT_FROM_START = (
    "sent from ", "sent via ", "sent with ", "sent by ", "(sent from ", "(sent via ", "<<sent ", "sent on the ",
    "get outlook", "get [outlook", "get bluemail", "from my iphone", "from my android", "from my mobile", "sent using ",
    "gesendet von ", "gesendet mit ", "von meinem ", "von unterwegs gesendet", "diese nachricht wurde von mein",
    "holen sie sich outlook", "outlook für ", "envoyé de mon", "envoyé depuis", "envoyé à partir", "obtenez outlook",
    "télécharger outlook", "enviado desde", "obtener outlook", "inviato da", "inviato dal", "ottieni outlook",
    "scarica outlook", "verzonden vanaf", "verzonden met", "verstuurd vanaf", "outlook voor ", "verzonden via",
    "enviado do meu", "enviado a partir", "enviado pelo", "obter o outlook", "enviado via", "skickat från",
    "hämta outlook", "skickades från", "sendt fra", "hent outlook", "wysłane z", "wysłano z", "pobierz outlook",
    "lähetetty ", "hanki outlook", "отправлено с", "надіслано з", "從我的", "发自我的", "發自我的", "iphoneから送信",
)  # fmt: skip
SENT_FROM_END = ("via mobile", "from mobile", "from my mobile", "from my iphone", "から送信", "gesendet.", "傳送")
