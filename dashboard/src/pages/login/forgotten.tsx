import { Anchor, Button, TextInput } from '@mantine/core'
import { useState } from 'react'
import { useAction } from '~/api/action'
import { post } from '~/api/client'
import { Door } from '~/layout/door'
import { ErrorBox } from '~/parts/ErrorBox'

/** Asks for a link to a new password; whether there is such a user is not told. */
export function Forgotten({ onLeave }: { onLeave: () => void }) {
  const [user, setUser] = useState('')
  const [sent, setSent] = useState(false)
  const ask = useAction(() => post('/v1/password/forgotten', { user: user.trim() }), { quiet: true, then: () => setSent(true) })
  const foot = (
    <Anchor component="button" type="button" size="sm" onClick={onLeave}>
      Back to the login
    </Anchor>
  )
  if (sent) {
    const about = `If ${user.trim()} is a user with an e-mail address, a link to set a new password is on its way there. It works for an hour.`
    return (
      <Door title="Look into your mail" about={<span role="status">{about}</span>} foot={foot}>
        {null}
      </Door>
    )
  }
  return (
    <Door title="Forgotten password" about="A link to set a new one goes to your e-mail address." foot={foot}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          void ask.run()
        }}
      >
        <ErrorBox error={ask.error} />
        <TextInput label="Name or e-mail address" autoComplete="username" required withAsterisk={false} value={user} onChange={(event) => setUser(event.currentTarget.value)} />
        <Button type="submit" size="sm" loading={ask.busy}>
          Send the link
        </Button>
      </form>
    </Door>
  )
}
