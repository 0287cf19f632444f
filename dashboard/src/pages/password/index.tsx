import { Anchor, Button, PasswordInput } from '@mantine/core'
import { useEffect, useState } from 'react'
import { Link } from 'wouter'
import { useAction } from '~/api/action'
import { post } from '~/api/client'
import { ApiError } from '~/api/error'
import { end } from '~/api/session'
import { Door } from '~/layout/door'
import { ErrorBox } from '~/parts/ErrorBox'

/** Where the link of an admin, or of "forgotten", leads: a new password for who has the link. */
export default function NewPassword() {
  const [link] = useState(() => location.hash.slice(1))
  const [password, setPassword] = useState('')
  const [user, setUser] = useState('')
  useEffect(() => history.replaceState(null, '', location.pathname), [])
  const renew = useAction(() => post('/v1/password/reset', { link, password }), {
    quiet: true,
    then: (answer) => {
      end()
      setUser(answer.user)
    },
  })
  const login = (
    <Anchor component={Link} href="/login">
      Log in
    </Anchor>
  )
  if (user) return <Door title="Done" about={<>The password of {user} is set. {login}</>}>{null}</Door>
  if (!link) {
    const none = new ApiError({ message: 'this address carries no link', hint: 'open the whole link that you were given' }, 0)
    return (
      <Door title="A new password" foot={login}>
        <div style={{ marginTop: '1rem' }}>
          <ErrorBox error={none} />
        </div>
      </Door>
    )
  }
  return (
    <Door title="A new password" about="Whoever is logged in as you will be logged out." foot={login}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          void renew.run()
        }}
      >
        <ErrorBox error={renew.error} />
        <PasswordInput label="Password" description="10 characters or more" autoComplete="new-password" minLength={10} required withAsterisk={false} value={password} onChange={(event) => setPassword(event.currentTarget.value)} visibilityToggleButtonProps={{ 'aria-label': 'Show the password' }} />
        <Button type="submit" size="sm" loading={renew.busy}>
          Set it
        </Button>
      </form>
    </Door>
  )
}
